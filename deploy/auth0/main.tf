# The resources of rolekeeper in an Auth0 tenant, for Terraform. Owns the minimum: one machine-to-machine
# application, one API with two scopes, one log stream, one post-login Action and its place in the flow. tenant.yaml
# has the same for the Auth0 Deploy CLI.
#
# The provider reads AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET (of Terraform's own application) from the
# environment.

terraform {
  required_version = ">= 1.5"
  required_providers {
    auth0 = {
      source  = "auth0/auth0"
      version = "1.55.0"
    }
  }
}

variable "auth0_domain" {
  description = "The tenant's canonical domain, also if it has a custom one"
  type        = string
}

variable "rolekeeper_host" {
  description = "Host of the webhook for Auth0, with a publicly trusted certificate"
  type        = string
}

variable "log_stream_token" {
  description = "The same as rolekeeper's setting LOG_STREAM_TOKEN; Auth0's provider keeps it in the state"
  type        = string
  sensitive   = true
}

variable "api_audience" {
  description = "The same as rolekeeper's setting API_AUDIENCE; empty without the data API"
  type        = string
  default     = ""
}

variable "claim_namespace" {
  description = "An address of your own before the claims' names, such as https://music.example.com; it does not have to respond"
  type        = string
}

variable "default_display_name" {
  description = "Display name for users without one, such as user"
  type        = string
}

variable "claim_roles" {
  description = "Roles that tokens may show, separated by commas, such as playlist_editor; * for all"
  type        = string
}

variable "claim_clients" {
  description = "Client ids of the applications whose tokens may show them, separated by commas; * for all that request it, third-party ones too"
  type        = string
}

variable "gap_filler" {
  description = "true lets rolekeeper read the tenant's log, for the gap filler"
  type        = bool
  default     = false
}

resource "auth0_client" "rolekeeper" {
  name            = "rolekeeper"
  description     = "Keeps app_metadata.roles up to date. Reads and changes users, nothing else."
  app_type        = "non_interactive"
  is_first_party  = true
  oidc_conformant = true
  grant_types     = ["client_credentials"]

  jwt_configuration {
    alg = "RS256"
  }
}

resource "auth0_client_credentials" "rolekeeper" {
  client_id             = auth0_client.rolekeeper.id
  authentication_method = "client_secret_post"
}

resource "auth0_client_grant" "rolekeeper" {
  client_id = auth0_client.rolekeeper.id
  audience  = "https://${var.auth0_domain}/api/v2/"
  scopes = distinct(concat(
    [
      "read:users",
      "update:users",
      "read:users_app_metadata",
      "update:users_app_metadata",
      # Recommended: they confirm a record before rolekeeper restores another client's role. Without them rolekeeper only
      # reports these cases.
      "read:logs",
      "read:logs_users",
    ],
    var.gap_filler ? ["read:logs"] : [],
  ))
}

# The data API. An app requests these scopes at the login: openid read:app write:app.
resource "auth0_resource_server" "rolekeeper" {
  count       = var.api_audience == "" ? 0 : 1
  name        = "rolekeeper data API"
  identifier  = var.api_audience
  signing_alg = "RS256"
}

resource "auth0_resource_server_scopes" "rolekeeper" {
  count                      = var.api_audience == "" ? 0 : 1
  resource_server_identifier = auth0_resource_server.rolekeeper[0].identifier

  scopes {
    name        = "read:app"
    description = "Read the app's data of the user"
  }

  scopes {
    name        = "write:app"
    description = "Change the app's data of the user"
  }
}

resource "auth0_log_stream" "rolekeeper" {
  name = "rolekeeper"
  type = "http"

  # The records that rolekeeper reads: sign-ups, logins, writes through the Management API, changes by the users themselves.
  filters = [
    { type = "category", name = "auth.signup.success" },
    { type = "category", name = "auth.login.success" },
    { type = "category", name = "management.success" },
    { type = "category", name = "user.success" },
    { type = "category", name = "scim.event" },
  ]

  sink {
    http_endpoint       = "https://${var.rolekeeper_host}/auth0/logs"
    http_authorization  = var.log_stream_token
    http_content_type   = "application/json"
    http_content_format = "JSONARRAY"
  }
}

resource "auth0_action" "rolekeeper" {
  name    = "rolekeeper"
  code    = file("${path.module}/actions/rolekeeper/code.js")
  runtime = "node22"
  deploy  = true

  supported_triggers {
    id      = "post-login"
    version = "v3"
  }

  # Settings rather than secrets, so the state can show them, and Terraform sees a changed value.
  secrets {
    name  = "CLAIM_NAMESPACE"
    value = var.claim_namespace
  }

  secrets {
    name  = "DEFAULT_DISPLAY_NAME"
    value = var.default_display_name
  }

  secrets {
    name  = "CLAIM_ROLES"
    value = var.claim_roles
  }

  secrets {
    name  = "CLAIM_CLIENTS"
    value = var.claim_clients
  }
}

# The Action goes to the end of the flow; other Actions stay. If auth0_trigger_actions lists the flow, add it there
# instead: the two resources exclude each other.
resource "auth0_trigger_action" "rolekeeper" {
  trigger      = "post-login"
  action_id    = auth0_action.rolekeeper.id
  display_name = "rolekeeper"
}

output "client_id" {
  description = "For rolekeeper's setting AUTH0_CLIENT_ID; the secret is in the dashboard"
  value       = auth0_client.rolekeeper.client_id
}

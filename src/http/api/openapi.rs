//! The description of the data API (OpenAPI 3.1), made from its routes.
//!
//! Owns the parts that operations have in common: the token, and the problems that any of them can return. Must never
//! describe behaviour that the code does not have: routes, bodies and responses are described beside their handlers.

use axum::http::Method;
use utoipa::PartialSchema as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, Object, ObjectBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, ResponseBuilder, Schema, Type,
};

use super::problem::{PROBLEM_JSON, ProblemBody};
use super::request::scope_of;
use rolekeeper_domain::display_name::MAX_DISPLAY_NAME_CHARS;
use rolekeeper_domain::event::MAX_NAME_CHARS;
use rolekeeper_domain::name::NAME_PATTERN;

/// Version of the interface, not of the program: its first number is raised when clients must change.
const VERSION: &str = "2.0.0";
/// Name of the only way to authenticate.
const TOKEN: &str = "token";

/// Returns the description without its routes.
pub(super) fn frame() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An access token of the tenant for this API's audience, RS256 or ES256, with the scope that an operation names",
        ));
    let info = InfoBuilder::new()
        .title("rolekeeper data API")
        .version(VERSION)
        .description(Some(
            "The app's data about its users. The user is the subject of the access token; no user sees data of another user.",
        ));
    let components = ComponentsBuilder::new()
        .schema("Problem", ProblemBody::schema())
        .security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new(TOKEN, Vec::<String>::new())]))
        .build()
}

/// Returns the schema of a name that [`rolekeeper_domain::name::Name`] accepts.
pub(super) fn name() -> Object {
    text(MAX_NAME_CHARS)
}

/// Returns the schema of a name that [`rolekeeper_domain::display_name::DisplayName`] accepts.
pub(super) fn display_name() -> Object {
    text(MAX_DISPLAY_NAME_CHARS)
}

fn text(most_chars: usize) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Not only blanks, and without control characters"))
        .min_length(Some(1))
        .max_length(Some(most_chars))
        .pattern(Some(NAME_PATTERN))
        .build()
}

/// Adds to each operation the problems that it shares with other operations.
pub(super) fn with_common_problems(mut api: OpenApi) -> OpenApi {
    for (method, operation) in api.paths.paths.values_mut().flat_map(operations) {
        let add = |status: &str, problem: ResponseBuilder| {
            let responses = &mut operation.responses.responses;
            responses
                .entry(status.to_owned())
                .or_insert_with(|| RefOr::T(problem.build()));
        };
        let public = operation.security.as_ref().is_some_and(Vec::is_empty);
        if !public {
            let scope = scope_of(&method);
            operation.security = Some(vec![SecurityRequirement::new(TOKEN, [scope])]);
        }
        common_problems(!public, operation.request_body.is_some(), add);
    }
    api
}

fn common_problems(of_a_user: bool, with_body: bool, mut add: impl FnMut(&str, ResponseBuilder)) {
    if of_a_user {
        let challenge = header("The way to authenticate (RFC 6750)", String::schema());
        add(
            "401",
            problem("No valid access token").header("WWW-Authenticate", challenge),
        );
        add(
            "429",
            problem("Too many requests by this user").header("Retry-After", seconds()),
        );
        add(
            "503",
            problem("The database, NATS or the tenant's keys are unavailable")
                .header("Retry-After", seconds()),
        );
        add("500", problem("A fault of the server"));
        add(
            "403",
            problem("The token lacks the scope, or the caller was erased permanently"),
        );
    }
    if with_body {
        add("400", problem("The body is not JSON"));
        add("413", problem("The body is larger than 16 KiB"));
        add("415", problem("The body's content type is not JSON"));
        add("422", problem("A field is invalid"));
    }
}

fn problem(description: &str) -> ResponseBuilder {
    let schema = RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content)
}

fn seconds() -> utoipa::openapi::Header {
    header("Seconds after which a retry may succeed", u64::schema())
}

fn header(description: &str, schema: RefOr<Schema>) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// Returns the operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Returns every described route and method, for metrics.
pub(super) fn routes(api: &OpenApi) -> Vec<(String, &'static str)> {
    let mut routes = Vec::new();
    for (path, item) in &api.paths.paths {
        for (operation, method) in [
            (&item.get, "GET"),
            (&item.put, "PUT"),
            (&item.post, "POST"),
            (&item.delete, "DELETE"),
        ] {
            routes.extend(operation.is_some().then(|| (path.clone(), method)));
        }
    }
    routes
}

/// Adds the offered genres, so that a client need not guess them.
pub(super) fn with_genres(mut api: OpenApi, genres: &[String]) -> OpenApi {
    let schema = api
        .components
        .as_mut()
        .and_then(|components| components.schemas.get_mut("FavouriteGenre"));
    if let Some(RefOr::T(Schema::Object(choice))) = schema
        && let Some(RefOr::T(Schema::Object(genre))) = choice.properties.get_mut("genre")
    {
        genre.enum_values = Some(genres.iter().map(|genre| genre.as_str().into()).collect());
    }
    api
}

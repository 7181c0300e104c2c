{{- /* Owns what several templates share: names, labels, the security of a pod, and its secrets as files. */ -}}

{{- define "rolekeeper.name" -}}
{{- if contains "rolekeeper" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-rolekeeper{{ end }}
{{- end }}

{{- define "rolekeeper.selector" -}}
app.kubernetes.io/name: rolekeeper
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rolekeeper.labels" -}}
{{ include "rolekeeper.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "rolekeeper.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "rolekeeper.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "rolekeeper.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* A list of dict "settings" and "secrets": variables of a container. */ -}}
{{- define "rolekeeper.environment" -}}
- { name: OPS_LISTEN, value: "0.0.0.0:9090" }
- { name: LOG_FORMAT, value: json }
{{- range $name, $value := .settings }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- range .secrets }}
- { name: {{ . }}_FILE, value: /run/secrets/rolekeeper/{{ . }} }
{{- end }}
{{- end }}

{{- define "rolekeeper.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      {{- range .secrets }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- end }}

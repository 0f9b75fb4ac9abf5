{{/* The environment of the service. */}}

{{/* A section of .Values.settings as environment variables: (dict "prefix" "RouteService" "section" …), as the lines of a YAML map. */}}
{{- define "route-service.sectionVariables" -}}
{{- range $key, $value := .section }}
{{- $name := printf "%s__%s" $.prefix (title $key) }}
{{- if kindIs "map" $value }}
{{- include "route-service.sectionVariables" (dict "prefix" $name "section" $value) }}
{{- else if not (kindIs "invalid" $value) }}
{{ $name }}: {{ include "route-service.scalar" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A number as it was written: Helm reads all of them as floats, and would print 4194304 as 4.194304e+06. */}}
{{- define "route-service.scalar" -}}
{{- if kindIs "float64" . -}}{{ printf "%.0f" . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* Settings that are not secret, for the ConfigMap. */}}
{{- define "route-service.variables" -}}
RouteService__Grpc__Port: "50051"
RouteService__Management__Port: "8081"
{{- include "route-service.scrapeVariables" . }}
RouteService__Shutdown__DelaySeconds: {{ include "route-service.scalar" .Values.shutdown.delaySeconds | quote }}
RouteService__Shutdown__GraceSeconds: {{ include "route-service.scalar" .Values.shutdown.graceSeconds | quote }}
{{- if .Values.embedded.enabled }}
RouteService__Sqlite__Path: /data/route-service.db
RouteService__Sqlite__NotesPath: /data/route-service-notes.db
{{- else if eq (include "route-service.migrationMode" .) "onStart" }}
RouteService__Postgres__MigrateOnStart: "true"
{{- end }}
{{- if .Values.tls.enabled }}
RouteService__Grpc__CertificatePath: /etc/route-service/tls/tls.crt
RouteService__Grpc__CertificateKeyPath: /etc/route-service/tls/tls.key
{{- if .Values.tls.clientCa.existingSecret }}
RouteService__Grpc__ClientCaPath: /etc/route-service/client-ca/ca.crt
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if .enabled }}
RouteService__Auth__Enabled: "true"
RouteService__Auth__AnonymousHealth: {{ .anonymousHealth | quote }}
RouteService__Auth__AnonymousReflection: {{ .anonymousReflection | quote }}
{{- if or .apiKeys.existingSecret .apiKeys.lines }}
RouteService__Auth__ApiKeysPath: /etc/route-service/api-keys/api-keys
{{- end }}
{{- if or .jwt.issuer .jwt.authority }}
{{- with .jwt.issuer }}
RouteService__Auth__Jwt__Issuer: {{ . | quote }}
{{- end }}
RouteService__Auth__Jwt__Audience: {{ .jwt.audience | quote }}
{{- with .jwt.authority }}
RouteService__Auth__Jwt__Authority: {{ . | quote }}
{{- end }}
{{- with .jwt.jwksUrl }}
RouteService__Auth__Jwt__JwksUrl: {{ . | quote }}
{{- end }}
{{- if eq (toString .jwt.requireHttps) "false" }}
RouteService__Auth__Jwt__RequireHttps: "false"
{{- end }}
{{- if .jwt.jwks.existingConfigMap }}
RouteService__Auth__Jwt__JwksPath: /etc/route-service/jwks/jwks.json
{{- end }}
{{- if .jwt.symmetricKey.existingSecret }}
RouteService__Auth__Jwt__KeyPath: /etc/route-service/jwt-key/key
{{- end }}
{{- end }}
{{- end }}
{{- end }}
Logging__LogLevel__Default: {{ .Values.logging.level }}
{{- range $category, $level := .Values.logging.levels }}
Logging__LogLevel__{{ $category }}: {{ $level }}
{{- end }}
Logging__Console__FormatterName: {{ .Values.logging.format }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
{{- if not (contains "$(" .endpoint) }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .endpoint | quote }}
{{- end }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ .protocol }}
OTEL_SERVICE_NAME: {{ include "route-service.serviceName" $ | quote }}
OTEL_METRIC_EXPORT_INTERVAL: {{ include "route-service.scalar" .metricExportIntervalMilliseconds | quote }}
{{- with .tracesSampler }}
OTEL_TRACES_SAMPLER: {{ . | quote }}
{{- end }}
{{- with .tracesSamplerArg }}
OTEL_TRACES_SAMPLER_ARG: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- include "route-service.sectionVariables" (dict "prefix" "RouteService" "section" .Values.settings) }}
{{- end -}}

{{/* Settings that are secret, or known only in the pod, as "first" and "last" of its environment. In a ConfigMap Kubernetes would leave $(NAME) as it is. */}}
{{- define "route-service.serverVariables" -}}
{{- $connection := include "route-service.connection" . | fromYaml -}}
first:
  {{- with $connection.first }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
  {{- include "route-service.podVariables" $ | nindent 2 }}
{{- if .headers.existingSecret }}
  - name: OTEL_EXPORTER_OTLP_HEADERS
    valueFrom: {secretKeyRef: {name: {{ tpl .headers.existingSecret $ }}, key: {{ .headers.key }}}}
{{- end }}
{{- end }}
{{- end }}
last:
  {{- with $connection.last }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: {{ include "route-service.resourceAttributes" . | quote }}
{{- if contains "$(" .endpoint }}
  - name: OTEL_EXPORTER_OTLP_ENDPOINT
    value: {{ .endpoint | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables that the user's variables may refer to, in all of our containers. */}}
{{- define "route-service.podVariables" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}

{{- define "route-service.resourceAttributes" -}}
service.instance.id=$(POD_NAME){{ if not (hasKey (default dict .resourceAttributes) "service.namespace") }},service.namespace=$(POD_NAMESPACE){{ end }},k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)
{{- range $name, $value := .resourceAttributes }},{{ $name }}={{ $value }}{{ end }}
{{- end -}}

{{/* The connection of the service to the database, as "first" and "last" of its environment. */}}
{{- define "route-service.connection" -}}
{{- if .Values.embedded.enabled -}}
first: []
{{- else if include "route-service.byParts" . }}
{{- include "route-service.connectionByParts" (dict "root" . "secret" .Values.database.existingSecret "username" .Values.database.username) }}
{{- else }}
{{- with .Values.database.existingSecret }}
{{- include "route-service.connectionBySecret" (dict "name" (tpl (default (printf "%s-connection" (include "route-service.fullname" $)) .name) $) "key" (ternary .key "connectionString" (not (empty .name)))) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The same for the migration, if the service itself does not migrate. */}}
{{- define "route-service.migrationConnection" -}}
{{- with .Values.database.migration -}}
{{- $byParts := and (include "route-service.byParts" $) (or (not .existingSecret.name) .existingSecret.passwordKey) -}}
{{- if or .connectionString (and (eq (include "route-service.migrationMode" $) "hook") $.Values.database.connectionString (not .existingSecret.name)) }}
{{- include "route-service.connectionBySecret" (dict "name" (printf "%s-migration-connection" (include "route-service.fullname" $)) "key" "connectionString") }}
{{- else if and $byParts (or .existingSecret.name .username) }}
{{- include "route-service.connectionByParts" (dict "root" $ "username" (default $.Values.database.username .username) "secret" .existingSecret) }}
{{- else if .existingSecret.name }}
{{- include "route-service.connectionBySecret" (dict "name" (tpl .existingSecret.name $) "key" .existingSecret.key) }}
{{- else }}
{{- include "route-service.connection" $ }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether the chart creates the Secret of the service's connection string. */}}
{{- define "route-service.makesConnection" -}}
{{- if or .Values.postgis.enabled .Values.database.connectionString }}true{{ end -}}
{{- end -}}

{{/* Whether extraEnv has a connection string. */}}
{{- define "route-service.ownConnection" -}}
{{- range .Values.extraEnv }}{{ if eq .name "ConnectionStrings__RouteService" }}true{{ end }}{{ end -}}
{{- end -}}

{{- define "route-service.byParts" -}}
{{- if or .Values.database.host .Values.database.existingSecret.hostKey }}true{{ end -}}
{{- end -}}

{{/* (dict "name" … "key" …) */}}
{{- define "route-service.connectionBySecret" -}}
last:
  - name: ConnectionStrings__RouteService
    valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end -}}

{{/* (dict "root" $ "secret" existingSecret "username" …). The role and the password are by PGUSER and PGPASSWORD, in which no character has a meaning; what else is in the
Secret of the service comes into the string by $(NAME). */}}
{{- define "route-service.connectionByParts" -}}
{{- $database := .root.Values.database -}}
{{- $service := tpl $database.existingSecret.name .root -}}
{{- $own := tpl .secret.name .root -}}
first:
{{- range $name, $key := dict "DATABASE_HOST" $database.existingSecret.hostKey "DATABASE_PORT" $database.existingSecret.portKey "DATABASE_NAME" $database.existingSecret.nameKey }}
{{- if $key }}
  - name: {{ $name }}
    valueFrom: {secretKeyRef: {name: {{ $service }}, key: {{ $key }}}}
{{- end }}
{{- end }}
{{- if and $own .secret.usernameKey }}
  - name: PGUSER
    valueFrom: {secretKeyRef: {name: {{ $own }}, key: {{ .secret.usernameKey }}}}
{{- end }}
{{- if and $own .secret.passwordKey }}
  - name: PGPASSWORD
    valueFrom: {secretKeyRef: {name: {{ $own }}, key: {{ .secret.passwordKey }}}}
{{- end }}
last:
  {{- $string := printf "Host=%s;Port=%s;Database=%s"
    (ternary "$(DATABASE_HOST)" $database.host (not (empty $database.existingSecret.hostKey)))
    (ternary "$(DATABASE_PORT)" (include "route-service.scalar" $database.port) (not (empty $database.existingSecret.portKey)))
    (ternary "$(DATABASE_NAME)" $database.name (not (empty $database.existingSecret.nameKey))) }}
  {{- if not .secret.usernameKey }}{{ $string = printf "%s;Username=%s" $string .username }}{{ end }}
  {{- with $database.parameters }}{{ $string = printf "%s;%s" $string . }}{{ end }}
  - name: ConnectionStrings__RouteService
    value: {{ $string | quote }}
{{- end -}}

{{/* The connection string of the Secret that the chart creates. */}}
{{- define "route-service.connectionString" -}}
{{- with .Values.postgis }}
{{- if .enabled -}}
Host={{ include "route-service.postgisName" $ }};Username={{ .username }};Password={{ .password }};Database={{ .database }}
{{- else -}}
{{ $.Values.database.connectionString }}
{{- end }}
{{- end }}
{{- end -}}

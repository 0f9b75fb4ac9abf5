{{/* The migration and its connection. */}}

{{/* none, onStart, initContainer, job, or hook: the job before the rest of the release. */}}
{{- define "route-service.migrationMode" -}}
{{- $mode := .Values.database.migration.mode -}}
{{- if .Values.embedded.enabled -}}
none
{{- else if ne $mode "job" -}}
{{ $mode }}
{{- else if .Values.postgis.enabled -}}
initContainer
{{- else if ternary (empty (include "route-service.madeWithRelease" .)) (.Values.database.migration.hooks) (kindIs "invalid" .Values.database.migration.hooks) -}}
hook
{{- else -}}
job
{{- end -}}
{{- end -}}

{{/* The extra object that creates the Secret of the job, as KIND/NAME: a Secret, the source of one for another controller, or the database of an operator. A hook
would wait for it, and it for the hook. */}}
{{- define "route-service.madeWithRelease" -}}
{{- $needed := list -}}
{{- range list .Values.database.existingSecret.name .Values.database.migration.existingSecret.name -}}
{{- if . }}{{ $needed = append $needed (tpl . $) }}{{ end -}}
{{- end -}}
{{- $found := list -}}
{{- range .Values.extraObjects -}}
{{- $object := tpl (kindIs "string" . | ternary . (toYaml .)) $ | fromYaml -}}
{{- $name := dig "metadata" "name" "" $object -}}
{{- if not (dig "metadata" "annotations" "helm.sh/hook" "" $object) -}}
{{- range $needed -}}
{{- if has $object.kind (list "Cluster" "PostgresCluster" "postgresql") -}}
{{- if or (hasPrefix (printf "%s-" $name) .) (contains (printf ".%s." $name) .) }}{{ $found = append $found (printf "%s/%s" $object.kind $name) }}{{ end -}}
{{- else if and (or (hasSuffix "Secret" $object.kind) (eq $object.kind "OnePasswordItem")) (has . (list $name (dig "spec" "target" "name" "" $object) (dig "spec" "destination" "name" "" $object))) -}}
{{- $found = append $found (printf "%s/%s" $object.kind $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- first (append $found "") -}}
{{- end -}}

{{- define "route-service.migrationName" -}}
{{ include "route-service.fullname" . }}-migration
{{- end -}}

{{- define "route-service.migrationServiceAccountName" -}}
{{- $name := .Values.database.migration.serviceAccountName -}}
{{- if (.Values.database.migration.serviceAccount).create -}}
{{ ternary (include "route-service.migrationName" .) $name (eq $name "default") }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end -}}

{{/* The container that runs `migrate`, in a job or before the service. */}}
{{- define "route-service.migrationContainer" -}}
{{- $migration := .Values.database.migration -}}
{{- $variables := include "route-service.migrationConnection" . | fromYaml -}}
{{- if .Values.telemetry.endpoint -}}
{{- $_ := set $variables "first" (concat (default list $variables.first) (include "route-service.podVariables" . | fromYamlArray)) -}}
{{- end -}}
name: migrate
image: {{ include "route-service.image" (dict "root" . "image" .Values.image "tag" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [migrate{{ range $migration.grantTo }}, --grant-to, {{ . | quote }}{{ end }}]
{{- with include "route-service.env" (merge (dict "root" . "user" (concat (default list .Values.extraEnv) (default list $migration.extraEnv))) $variables) }}
{{ . }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- include "route-service.containerCommon" (dict "root" . "resources" $migration.resources) | nindent 0 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Parts of pods. */}}

{{/* What decides where and how any pod of the chart runs. */}}
{{- define "route-service.podCommon" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The container that runs `migrate`, in a job or before the service. */}}
{{- define "route-service.migrationContainer" -}}
name: migrate
image: {{ include "route-service.image" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [migrate]
env:
  {{- include "route-service.connectionVariable" (dict "secret" (include "route-service.migrationSecret" . | fromYaml)) | nindent 2 }}
  {{- with .Values.extraEnv }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .Values.database.migration.resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A volume of one file of a Secret or ConfigMap. It is mounted as a folder, because a file alone (subPath) would not follow when it is renewed.
288 is the mode 0440. */}}
{{- define "route-service.fileVolume" -}}
- name: {{ .name }}
  {{ .kind }}:
    {{ ternary "secretName" "name" (eq .kind "secret") }}: {{ .from }}
    defaultMode: 288
    items:
      {{- range $file, $key := .files }}
      - {key: {{ $key }}, path: {{ $file }}}
      {{- end }}
{{- end -}}

{{- define "route-service.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if .Values.embedded.enabled }}
- name: data
  emptyDir: {sizeLimit: {{ .Values.embedded.sizeLimit }}}
{{- end }}
{{- with .Values.tls }}
{{- if .enabled }}
{{ include "route-service.fileVolume" (dict "name" "tls" "kind" "secret" "from" (include "route-service.tlsSecretName" $) "files" (dict "tls.crt" "tls.crt" "tls.key" "tls.key")) }}
{{- if .clientCa.existingSecret }}
{{ include "route-service.fileVolume" (dict "name" "client-ca" "kind" "secret" "from" .clientCa.existingSecret "files" (dict "ca.crt" .clientCa.key)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if .enabled }}
{{- if .apiKeys.existingSecret }}
{{ include "route-service.fileVolume" (dict "name" "api-keys" "kind" "secret" "from" .apiKeys.existingSecret "files" (dict "api-keys" .apiKeys.key)) }}
{{- else if .apiKeys.lines }}
{{ include "route-service.fileVolume" (dict "name" "api-keys" "kind" "secret" "from" (printf "%s-api-keys" (include "route-service.fullname" $)) "files" (dict "api-keys" "api-keys")) }}
{{- end }}
{{- if .jwt.jwks.existingConfigMap }}
{{ include "route-service.fileVolume" (dict "name" "jwks" "kind" "configMap" "from" .jwt.jwks.existingConfigMap "files" (dict "jwks.json" .jwt.jwks.key)) }}
{{- end }}
{{- if .jwt.symmetricKey.existingSecret }}
{{ include "route-service.fileVolume" (dict "name" "jwt-key" "kind" "secret" "from" .jwt.symmetricKey.existingSecret "files" (dict "key" .jwt.symmetricKey.key)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end -}}

{{/* A mount for each of these volumes. */}}
{{- define "route-service.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.embedded.enabled }}
- {name: data, mountPath: /data}
{{- end }}
{{- with .Values.tls }}
{{- if .enabled }}
- {name: tls, mountPath: /etc/route-service/tls, readOnly: true}
{{- if .clientCa.existingSecret }}
- {name: client-ca, mountPath: /etc/route-service/client-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if .enabled }}
{{- if or .apiKeys.existingSecret .apiKeys.lines }}
- {name: api-keys, mountPath: /etc/route-service/api-keys, readOnly: true}
{{- end }}
{{- if .jwt.jwks.existingConfigMap }}
- {name: jwks, mountPath: /etc/route-service/jwks, readOnly: true}
{{- end }}
{{- if .jwt.symmetricKey.existingSecret }}
- {name: jwt-key, mountPath: /etc/route-service/jwt-key, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end -}}

{{/* What Kubernetes waits before it kills: all of the waits together, and 5 s for the process to end. */}}
{{- define "route-service.leastGracePeriod" -}}
{{- with .Values.shutdown -}}
{{ add .delaySeconds .graceSeconds .preStopSleepSeconds 5 }}
{{- end -}}
{{- end -}}

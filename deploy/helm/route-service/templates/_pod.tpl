{{/* Parts of pods. */}}

{{/* Settings of where and how the pods of the chart run: (dict "root" $ "own" …). The pod's own nodeSelector, tolerations and affinity replace the chart's, of
whose affinity other pods than the service's take the nodes alone: the rest is between pods of the service. */}}
{{- define "route-service.podCommon" -}}
{{- $own := default dict .own -}}
{{- with .root.Values -}}
automountServiceAccountToken: {{ default false .automountServiceAccountToken }}
enableServiceLinks: false
{{- with include "route-service.imagePullSecrets" $.root }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default .nodeSelector $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default .tolerations $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default (pick (default dict .affinity) "nodeAffinity") $own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "route-service.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat (default list (.Values.global).imagePullSecrets) (default list .Values.imagePullSecrets) -}}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- range $i, $name := uniq $names }}{{ if $i }}
{{ end }}- name: {{ $name }}{{ end -}}
{{- end -}}

{{/* Number of pods; empty if an autoscaler or another controller decides. */}}
{{- define "route-service.replicas" -}}
{{- if .Values.embedded.enabled -}}
{{ min 1 (default 1 .Values.replicas) }}
{{- else if and (not .Values.autoscaling.enabled) (not (kindIs "invalid" .Values.replicas)) -}}
{{ .Values.replicas }}
{{- end -}}
{{- end -}}

{{/* OpenShift gives each namespace its own users and groups, and admits no pod that requests another. */}}
{{- define "route-service.openshift" -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}true{{ end -}}
{{- end -}}

{{/* (dict "root" $), and "user" in place of the service's. */}}
{{- define "route-service.podSecurityContext" -}}
{{- $context := deepCopy (default dict .root.Values.podSecurityContext) -}}
{{- $ours := 1654 -}}
{{- if hasKey . "user" -}}
{{- $ours = 999 -}}
{{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- $context = kindIs "invalid" $.user | ternary (omit $context .) (set $context . $.user) -}}
{{- end -}}
{{- end -}}
{{- if include "route-service.openshift" .root -}}
{{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- if eq (int (get $context .)) $ours }}{{ $context = omit $context . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with $context -}}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* A container's environment: (dict "root" $ "first" … "user" … "last" …), lists of variables. No name is repeated: a user's variable replaces the chart's, and
the later of the user's in place of the earlier. "last" may refer to the user's by $(NAME), for which they have to come before. */}}
{{- define "route-service.env" -}}
{{- $seen := dict -}}
{{- $user := list -}}
{{- range reverse (tpl (toYaml (default list .user)) .root | fromYamlArray) -}}
{{- if not (hasKey $seen .name) }}{{ $user = prepend $user . }}{{ end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- $before := list -}}
{{- range .first }}{{ if not (hasKey $seen .name) }}{{ $before = append $before . }}{{ end }}{{ end -}}
{{- $after := list -}}
{{- range .last }}{{ if not (hasKey $seen .name) }}{{ $after = append $after . }}{{ end }}{{ end -}}
{{- with concat $before $user $after -}}
env:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The common end of all containers: (dict "root" $ "resources" …). */}}
{{- define "route-service.containerCommon" -}}
{{- with .root.Values.securityContext -}}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
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
{{ include "route-service.fileVolume" (dict "name" "client-ca" "kind" "secret" "from" (tpl .clientCa.existingSecret $) "files" (dict "ca.crt" .clientCa.key)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- if .enabled }}
{{- if .apiKeys.existingSecret }}
{{ include "route-service.fileVolume" (dict "name" "api-keys" "kind" "secret" "from" (tpl .apiKeys.existingSecret $) "files" (dict "api-keys" .apiKeys.key)) }}
{{- else if .apiKeys.lines }}
{{ include "route-service.fileVolume" (dict "name" "api-keys" "kind" "secret" "from" (printf "%s-api-keys" (include "route-service.fullname" $)) "files" (dict "api-keys" "api-keys")) }}
{{- end }}
{{- if .jwt.jwks.existingConfigMap }}
{{ include "route-service.fileVolume" (dict "name" "jwks" "kind" "configMap" "from" (tpl .jwt.jwks.existingConfigMap $) "files" (dict "jwks.json" .jwt.jwks.key)) }}
{{- end }}
{{- if .jwt.symmetricKey.existingSecret }}
{{ include "route-service.fileVolume" (dict "name" "jwt-key" "kind" "secret" "from" (tpl .jwt.symmetricKey.existingSecret $) "files" (dict "key" .jwt.symmetricKey.key)) }}
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

{{/* The grace period before Kubernetes kills: the sum of the waits, and 5 s for the end of the process, which sends the last telemetry for up to two. */}}
{{- define "route-service.leastGracePeriod" -}}
{{- with .Values.shutdown -}}
{{ add .delaySeconds .graceSeconds .preStopSleepSeconds (dig "preStop" "sleep" "seconds" 0 (default dict $.Values.lifecycle)) 5 }}
{{- end -}}
{{- end -}}

{{/* Names of this chart's objects. Keys of later charts are read as (.Values.section).key: `helm upgrade --reuse-values` brings the values of
that release, without them. */}}

{{- define "route-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the longest suffix that a name gets here, and for the pods' own. A name that is cut ends with a hash of the whole, so that no two
releases have the same objects. */}}
{{- define "route-service.fullname" -}}
{{- $name := include "route-service.name" . -}}
{{- $whole := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride -}}
{{- $label := replace "." "-" $whole -}}
{{- if and (eq $label $whole) (le (len $label) 40) -}}
{{- $label -}}
{{- else -}}
{{- printf "%s-%s" ($label | trunc 31 | trimSuffix "-") ($whole | sha256sum | trunc 8) -}}
{{- end -}}
{{- end -}}

{{- define "route-service.namespace" -}}
{{ default .Release.Namespace .Values.namespaceOverride }}
{{- end -}}

{{- define "route-service.headlessName" -}}
{{ include "route-service.fullname" . }}-headless
{{- end -}}

{{- define "route-service.postgisName" -}}
{{ include "route-service.fullname" . }}-postgis
{{- end -}}

{{/* The host name of the Service, as the rest of the cluster calls it. */}}
{{- define "route-service.host" -}}
{{ include "route-service.fullname" . }}.{{ include "route-service.namespace" . }}.svc
{{- end -}}

{{/* Labels of an object of a component: (dict "root" $ "component" "server"). A release or a namespace may be called 4711 or true, which YAML does not take for
a text without quotes. */}}
{{- define "route-service.labels" -}}
{{- $own := include "route-service.selectorLabels" . | fromYaml -}}
{{- $own = merge $own (dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63)
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "route-service"
  "app.kubernetes.io/managed-by" .root.Release.Service) -}}
{{- merge $own (default dict .root.Values.commonLabels) | toYaml -}}
{{- end -}}

{{- define "route-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "route-service.name" .root | toYaml }}
app.kubernetes.io/instance: {{ .root.Release.Name | toYaml }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of a pod: none that a new version of the chart alone would change, since that would replace the pods. */}}
{{- define "route-service.podLabels" -}}
{{- merge (include "route-service.selectorLabels" . | fromYaml) (default dict .labels) (default dict .root.Values.commonLabels) | toYaml -}}
{{- end -}}

{{/* An object's metadata: (dict "root" $ "component" … "name" …), and "labels" or "annotations" of its own. */}}
{{- define "route-service.metadata" -}}
name: {{ .name | toYaml }}
namespace: {{ include "route-service.namespace" .root | toYaml }}
labels:
  {{- merge (include "route-service.labels" . | fromYaml) (default dict .labels) | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) (default dict .root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "route-service.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "route-service.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "route-service.tlsSecretName" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ default (printf "%s-tls" (include "route-service.fullname" .)) (tpl .Values.tls.existingSecret .) }}
{{- else -}}
{{ tpl .Values.tls.existingSecret . }}
{{- end -}}
{{- end -}}

{{/* An image by its digest or else its tag: (dict "root" $ "image" … "tag" the default). A repository that begins with a host is one of a registry already. */}}
{{- define "route-service.image" -}}
{{- $host := first (splitList "/" .image.repository) -}}
{{- $global := and (contains "/" .image.repository) (or (contains "." $host) (contains ":" $host) (eq $host "localhost")) | ternary "" (.root.Values.global).imageRegistry -}}
{{- with default .image.registry $global -}}
{{ trimSuffix "/" . }}/
{{- end -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .tag .image.tag }}
{{- end -}}
{{- end -}}

{{/* What this chart's objects are called. */}}

{{- define "route-service.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the longest suffix that a name gets here ("-migration-connection"), and for the pods' own. */}}
{{- define "route-service.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "route-service.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "route-service.headlessName" -}}
{{ include "route-service.fullname" . }}-headless
{{- end -}}

{{- define "route-service.postgisName" -}}
{{ include "route-service.fullname" . }}-postgis
{{- end -}}

{{/* The host name of the Service, as the rest of the cluster calls it. */}}
{{- define "route-service.host" -}}
{{ include "route-service.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* Labels of an object of a component: (dict "root" $ "component" "server"). */}}
{{- define "route-service.labels" -}}
{{- $own := include "route-service.selectorLabels" . | fromYaml -}}
{{- $own = merge $own (dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63)
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "route-service"
  "app.kubernetes.io/managed-by" .root.Release.Service) -}}
{{- merge $own .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "route-service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "route-service.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of a pod: none that a new version of the chart alone would change, since that would replace the pods. */}}
{{- define "route-service.podLabels" -}}
{{- merge (include "route-service.selectorLabels" . | fromYaml) (default dict .labels) .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* An object's metadata: (dict "root" $ "component" … "name" …), and "labels" or "annotations" of its own. */}}
{{- define "route-service.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- merge (include "route-service.labels" . | fromYaml) (default dict .labels) | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
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
{{ default (printf "%s-tls" (include "route-service.fullname" .)) .Values.tls.existingSecret }}
{{- else -}}
{{ .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{/* An image by its digest or else its tag: (dict "image" … "tag" the default). */}}
{{- define "route-service.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .tag .image.tag }}
{{- end -}}
{{- end -}}

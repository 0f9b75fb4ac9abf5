{{/* Rules of NetworkPolicies for more than one pod. */}}

{{/* OpenShift has its own DNS pods, and its policies apply to their port. */}}
{{- define "route-service.dnsEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.egress.dns | nindent 4 }}
  ports:
    {{- range default (list 53) .Values.networkPolicy.egress.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- if include "route-service.openshift" . }}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: openshift-dns}}
  ports:
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end }}
{{- end -}}

{{- define "route-service.databaseEgress" -}}
{{- if .Values.postgis.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "route-service.selectorLabels" (dict "root" . "component" "postgis") | nindent 10 }}
  ports:
    - {port: 5432, protocol: TCP}
{{- else if not .Values.embedded.enabled -}}
{{- $ports := .Values.networkPolicy.egress.database.ports -}}
{{- if .Values.database.host }}{{ $ports = uniq (append $ports .Values.database.port) }}{{ end -}}
{{- include "route-service.egressRule" (dict "ports" $ports "to" .Values.networkPolicy.egress.database.to) }}
{{- end -}}
{{- end -}}

{{/* A rule for ports of peers, or of all peers if none is given. */}}
{{- define "route-service.egressRule" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The policy of a pod without callers that needs DNS and the database. */}}
{{- define "route-service.egressOnly" -}}
{{- if .Values.networkPolicy.egress.enabled -}}
policyTypes: [Ingress, Egress]
egress:
  {{- include "route-service.dnsEgress" . | nindent 2 }}
  {{- include "route-service.databaseEgress" . | nindent 2 }}
  {{- with .Values.networkPolicy.egress.extra }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- else -}}
policyTypes: [Ingress]
{{- end }}
{{- end -}}

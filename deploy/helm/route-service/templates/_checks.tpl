{{/* Combinations of values that cannot work. Each check ends the rendering with what is wrong and what would be right. */}}

{{- define "route-service.check" -}}
{{- include "route-service.checkStore" . -}}
{{- include "route-service.checkMigration" . -}}
{{- include "route-service.checkAvailability" . -}}
{{- include "route-service.checkAccess" . -}}
{{- include "route-service.checkShutdown" . -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "RouteService__Grpc__Port" "RouteService__Management__Port") -}}
{{- fail (printf "extraEnv: %s cannot be set: probes and Services are on 50051 and 8081. service.port says which port clients see." .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkStore" -}}
{{- $stores := list -}}
{{- if .Values.database.existingSecret.name }}{{ $stores = append $stores "database.existingSecret.name" }}{{ end -}}
{{- if .Values.database.connectionString }}{{ $stores = append $stores "database.connectionString" }}{{ end -}}
{{- if .Values.postgis.enabled }}{{ $stores = append $stores "postgis.enabled" }}{{ end -}}
{{- if .Values.embedded.enabled }}{{ $stores = append $stores "embedded.enabled" }}{{ end -}}
{{- if not $stores -}}
{{- fail "Where is the database? Set database.existingSecret.name to a Secret with its connection string, or, to try the service, postgis.enabled=true or embedded.enabled=true." -}}
{{- else if gt (len $stores) 1 -}}
{{- fail (printf "There is one store; leave one of these: %s." (join ", " $stores)) -}}
{{- end -}}
{{- if and .Values.postgis.enabled (not .Values.postgis.password) -}}
{{- fail "postgis.enabled wants postgis.password." -}}
{{- end -}}
{{- if and .Values.embedded.enabled (or .Values.autoscaling.enabled (ne (int .Values.replicas) 1)) -}}
{{- fail "embedded.enabled wants replicas=1 and no autoscaling: every pod would have places and notes of its own." -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkMigration" -}}
{{- with .Values.database.migration -}}
{{- if and $.Values.postgis.enabled (eq .mode "job") -}}
{{- fail "postgis.enabled wants database.migration.mode initContainer or onStart: a job before the install cannot reach a database that the install makes." -}}
{{- end -}}
{{- if and .existingSecret.name .connectionString -}}
{{- fail "Set one of database.migration.existingSecret.name and database.migration.connectionString." -}}
{{- end -}}
{{- if and (or .existingSecret.name .connectionString) (or $.Values.embedded.enabled (not (has .mode (list "job" "initContainer")))) -}}
{{- fail "database.migration has a connection of its own only with database.migration.mode job or initContainer, and a database." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkAvailability" -}}
{{- $pods := int (ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled) -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d; at most as many are wanted." (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics) -}}
{{- fail "autoscaling.enabled wants autoscaling.targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics." -}}
{{- end -}}
{{- range $resource, $target := dict "cpu" .targetCPUUtilizationPercentage "memory" .targetMemoryUtilizationPercentage -}}
{{- if and $target (not (dig "requests" $resource "" $.Values.resources)) -}}
{{- fail (printf "autoscaling by %s wants resources.requests.%s, of which it is a percentage." $resource $resource) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if and .enabled (not (kindIs "invalid" .minAvailable)) -}}
{{- $percent := hasSuffix "%" (toString .minAvailable) -}}
{{- if or (and $percent (or (eq (toString .minAvailable) "100%") (le $pods 1))) (and (not $percent) (ge (int .minAvailable) $pods)) -}}
{{- fail (printf "podDisruptionBudget.minAvailable is %s of %d: no node with a pod on it could ever be drained. Fewer are wanted, or more pods." (toString .minAvailable) $pods) -}}
{{- end -}}
{{- else if and .enabled (has (toString .maxUnavailable) (list "0" "0%" "<nil>")) -}}
{{- fail "podDisruptionBudget.maxUnavailable is 0: no node with a pod on it could ever be drained. At least 1 is wanted." -}}
{{- end -}}
{{- end -}}
{{- with .Values.strategy -}}
{{- if and (eq (default "RollingUpdate" .type) "Recreate") .rollingUpdate -}}
{{- fail "strategy.type Recreate has no strategy.rollingUpdate: set that to null." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkAccess" -}}
{{- with .Values.auth -}}
{{- $tokens := or .jwt.jwks.existingConfigMap .jwt.symmetricKey.existingSecret -}}
{{- if and .enabled (not (or .apiKeys.existingSecret .apiKeys.lines $tokens)) -}}
{{- fail "auth.enabled wants a way to tell callers apart: auth.apiKeys.existingSecret or lines, auth.jwt.jwks.existingConfigMap, or auth.jwt.symmetricKey.existingSecret." -}}
{{- end -}}
{{- if and .enabled $tokens (not .jwt.issuer) -}}
{{- fail "auth.jwt wants auth.jwt.issuer, whose tokens are accepted." -}}
{{- end -}}
{{- if and (not .enabled) (or .apiKeys.existingSecret .apiKeys.lines $tokens) -}}
{{- fail "There are keys under auth, and auth.enabled is false: anybody could call. Set auth.enabled=true, or remove them." -}}
{{- end -}}
{{- if and .apiKeys.existingSecret .apiKeys.lines -}}
{{- fail "Set one of auth.apiKeys.existingSecret and auth.apiKeys.lines." -}}
{{- end -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if and .enabled (not (or .existingSecret .certManager.enabled)) -}}
{{- fail "tls.enabled wants tls.existingSecret, or tls.certManager.enabled=true." -}}
{{- end -}}
{{- if and (not .enabled) (or .existingSecret .certManager.enabled .clientCa.existingSecret) -}}
{{- fail "There is a certificate under tls, and tls.enabled is false: calls would go unencrypted. Set tls.enabled=true, or remove it." -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled wants tls.certManager.issuerRef.name." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled wants ingress.hosts, such as [{host: places.example.com, paths: [/]}]." -}}
{{- end -}}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) -}}
{{- fail "grpcRoute.enabled wants grpcRoute.parentRefs, such as [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkShutdown" -}}
{{- with .Values.shutdown -}}
{{- $least := int (include "route-service.leastGracePeriod" $) -}}
{{- if and .terminationGracePeriodSeconds (lt (int .terminationGracePeriodSeconds) $least) -}}
{{- fail (printf "shutdown.terminationGracePeriodSeconds is %d; calls would be cut off. At least %d is wanted: the three waits and 5." (int .terminationGracePeriodSeconds) $least) -}}
{{- end -}}
{{- if and .preStopSleepSeconds (semverCompare "<1.30.0-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "shutdown.preStopSleepSeconds wants Kubernetes 1.30 or later; this is %s. shutdown.delaySeconds does the same." $.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- end -}}

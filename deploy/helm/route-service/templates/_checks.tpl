{{/* Combinations of values that cannot work. Each check ends the rendering with what is wrong and what is expected. */}}

{{- define "route-service.check" -}}
{{- if and (not .Values.fullnameOverride) (regexMatch "^[0-9]" .Release.Name) -}}
{{- fail (printf "The release's name is %s; names of Services must begin with a letter. Set fullnameOverride." .Release.Name) -}}
{{- end -}}
{{- include "route-service.checkStore" . -}}
{{- include "route-service.checkMigration" . -}}
{{- include "route-service.checkAvailability" . -}}
{{- include "route-service.checkAccess" . -}}
{{- include "route-service.checkService" . -}}
{{- include "route-service.checkShutdown" . -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "RouteService__Grpc__Port" "RouteService__Management__Port") -}}
{{- fail (printf "extraEnv: %s cannot be set: probes and Services are on 50051 and 8081. service.port is the port for clients." .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkStore" -}}
{{- $stores := list -}}
{{- if .Values.database.existingSecret.name }}{{ $stores = append $stores "database.existingSecret.name" }}{{ end -}}
{{- if .Values.database.connectionString }}{{ $stores = append $stores "database.connectionString" }}{{ end -}}
{{- if .Values.postgis.enabled }}{{ $stores = append $stores "postgis.enabled" }}{{ end -}}
{{- if .Values.embedded.enabled }}{{ $stores = append $stores "embedded.enabled" }}{{ end -}}
{{- if and (not .Values.database.existingSecret.name) .Values.database.host }}{{ $stores = append $stores "database.host" }}{{ end -}}
{{- if and (not $stores) (not (include "route-service.ownConnection" .)) -}}
{{- fail "No database is configured. Set database.existingSecret.name to a Secret with its connection string, or, to try the service, postgis.enabled=true or embedded.enabled=true." -}}
{{- else if gt (len $stores) 1 -}}
{{- fail (printf "Several stores are configured; keep one of these: %s." (join ", " $stores)) -}}
{{- end -}}
{{- if and .Values.postgis.enabled (not .Values.postgis.password) -}}
{{- fail "postgis.enabled requires postgis.password." -}}
{{- end -}}
{{- if and .Values.embedded.enabled .Values.autoscaling.enabled -}}
{{- fail "embedded.enabled allows one pod and no autoscaling: every pod would have its own places and notes." -}}
{{- end -}}
{{- with .Values.database -}}
{{- if include "route-service.byParts" $ -}}
{{- if and .existingSecret.hostKey (not .existingSecret.name) -}}
{{- fail "database.existingSecret.hostKey requires database.existingSecret.name, the Secret with this key." -}}
{{- end -}}
{{- if not (or .username (and .existingSecret.name .existingSecret.usernameKey)) -}}
{{- fail "A database by parts requires its role: database.username, or database.existingSecret.usernameKey." -}}
{{- end -}}
{{- else if .username -}}
{{- fail "database.username is for a database by parts, which database.host selects; otherwise the role is in the connection string." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkMigration" -}}
{{- with .Values.database.migration -}}
{{- $made := include "route-service.madeWithRelease" $ -}}
{{- if and $made (eq (include "route-service.migrationMode" $) "hook") -}}
{{- fail (printf "database.migration.hooks is true, and extraObjects creates an object that the job needs with the release (%s): neither would end. Leave hooks unset, or make that object a hook as well." $made) -}}
{{- end -}}
{{- if and (not (include "route-service.byParts" $)) .username -}}
{{- fail "database.migration.username is for a database by parts, which database.host selects; otherwise the role is in the connection string." -}}
{{- end -}}
{{- if and .grantTo (not (has .mode (list "job" "initContainer"))) -}}
{{- fail (printf "database.migration.grantTo is for the `migrate` command; database.migration.mode is %s." .mode) -}}
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
{{- $pods := .Values.autoscaling.enabled | ternary (toString .Values.autoscaling.minReplicas) (include "route-service.replicas" .) -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d; expected at most that." (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics) -}}
{{- fail "autoscaling.enabled requires autoscaling.targetCPUUtilizationPercentage, targetMemoryUtilizationPercentage or metrics." -}}
{{- end -}}
{{- range $resource, $target := dict "cpu" .targetCPUUtilizationPercentage "memory" .targetMemoryUtilizationPercentage -}}
{{- if and $target (not (get (default dict (get (default dict $.Values.resources) "requests")) $resource)) -}}
{{- fail (printf "autoscaling by %s requires resources.requests.%s, of which it is a percentage." $resource $resource) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if and .enabled (not (kindIs "invalid" .minAvailable)) -}}
{{- $share := toString .minAvailable -}}
{{- $min := int $share -}}
{{- if hasSuffix "%" $share -}}
{{/* Kubernetes rounds it up. */}}
{{- $min = int (ceil (divf (mulf (trimSuffix "%" $share) $pods) 100)) -}}
{{- end -}}
{{- if and $pods (ge $min (int $pods)) -}}
{{- fail (printf "podDisruptionBudget.minAvailable is %s of %s: no node with a pod on it could ever be drained. Expected fewer, or more pods." (toString .minAvailable) $pods) -}}
{{- end -}}
{{- else if and .enabled (has (toString .maxUnavailable) (list "0" "0%" "<nil>")) -}}
{{- fail "podDisruptionBudget.maxUnavailable is 0: no node with a pod on it could ever be drained. Expected at least 1." -}}
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
{{- $tokens := or .jwt.authority .jwt.jwksUrl .jwt.jwks.existingConfigMap .jwt.symmetricKey.existingSecret -}}
{{- if and .enabled (not (or .apiKeys.existingSecret .apiKeys.lines $tokens)) -}}
{{- fail "auth.enabled requires credentials of callers: auth.apiKeys.existingSecret or lines, auth.jwt.authority, jwksUrl, jwks.existingConfigMap, or symmetricKey.existingSecret." -}}
{{- end -}}
{{- if and .enabled $tokens (not (or .jwt.issuer .jwt.authority)) -}}
{{- fail "auth.jwt requires auth.jwt.issuer, whose tokens are accepted." -}}
{{- end -}}
{{- if and (not .enabled) (or .apiKeys.existingSecret .apiKeys.lines $tokens) -}}
{{- fail "Keys are configured under auth, and auth.enabled is false: every client could call. Set auth.enabled=true, or remove them." -}}
{{- end -}}
{{- if and .apiKeys.existingSecret .apiKeys.lines -}}
{{- fail "Set one of auth.apiKeys.existingSecret and auth.apiKeys.lines." -}}
{{- end -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if and .enabled (not (or .existingSecret .certManager.enabled)) -}}
{{- fail "tls.enabled requires tls.existingSecret, or tls.certManager.enabled=true." -}}
{{- end -}}
{{- if and (not .enabled) (or .existingSecret .certManager.enabled .clientCa.existingSecret) -}}
{{- fail "A certificate is configured under tls, and tls.enabled is false: calls would be unencrypted. Set tls.enabled=true, or remove it." -}}
{{- end -}}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled requires tls.certManager.issuerRef.name." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled requires ingress.hosts, such as [{host: places.example.com, paths: [/]}]." -}}
{{- end -}}
{{- if and .Values.grpcRoute.enabled (not .Values.grpcRoute.parentRefs) -}}
{{- fail "grpcRoute.enabled requires grpcRoute.parentRefs, such as [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkService" -}}
{{- with .Values.service -}}
{{- if and .nodePort (eq .type "ClusterIP") -}}
{{- fail "service.nodePort requires service.type NodePort or LoadBalancer; it is ClusterIP." -}}
{{- end -}}
{{- if and (ne .type "LoadBalancer") (or .loadBalancerIP .loadBalancerClass .loadBalancerSourceRanges) -}}
{{- fail (printf "service.loadBalancerIP, loadBalancerClass and loadBalancerSourceRanges require service.type LoadBalancer; it is %s." .type) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "route-service.checkShutdown" -}}
{{- if and .Values.shutdown.preStopSleepSeconds (.Values.lifecycle).preStop -}}
{{- fail "Set one of shutdown.preStopSleepSeconds and lifecycle.preStop." -}}
{{- end -}}
{{- with .Values.shutdown -}}
{{- $least := int (include "route-service.leastGracePeriod" $) -}}
{{- if and .terminationGracePeriodSeconds (lt (int .terminationGracePeriodSeconds) $least) -}}
{{- fail (printf "shutdown.terminationGracePeriodSeconds is %d; calls would be cut off. Expected at least %d: the three waits and 5." (int .terminationGracePeriodSeconds) $least) -}}
{{- end -}}
{{- if and .preStopSleepSeconds (semverCompare "<1.30.0-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "shutdown.preStopSleepSeconds requires Kubernetes 1.30 or later; this is %s. shutdown.delaySeconds does the same." $.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Who may call, and over what: what cannot work, or lets nobody or everybody in, is refused here with what to do. */}}
{{- define "weft.checkCallers" -}}
{{- $gateway := .Values.gateway -}}
{{- $tls := $gateway.tls -}}
{{- $listener := include "weft.tls" . -}}
{{- $asked := or $gateway.door.enabled (include "weft.authentic" .) -}}
{{- $exposed := ne $gateway.service.type "ClusterIP" -}}
{{- if and $tls.existingSecret $tls.certManager.enabled }}
{{- fail "gateway.tls.existingSecret is a certificate and gateway.tls.certManager makes one: choose one" }}
{{- end }}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) }}
{{- fail "gateway.tls.certManager needs issuerRef.name: the issuer that clients trust" }}
{{- end }}
{{- if and $tls.clientCA.existingSecret (not $listener) }}
{{- fail "gateway.tls.clientCA needs gateway.tls.existingSecret or gateway.tls.certManager: clients show certificates on TLS connections only" }}
{{- end }}
{{- if and (not $tls.clientCA.existingSecret) (or $tls.clientCRL.existingSecret (eq $tls.clientAuth "required")) }}
{{- fail "gateway.tls.clientCRL and clientAuth required need gateway.tls.clientCA: the authority that signs clients' certificates" }}
{{- end }}
{{- if and $tls.clientCA.existingSecret (not $gateway.keys.existingSecret) (not (contains "certificate" $gateway.config)) }}
{{- fail "gateway.tls.clientCA gives nobody a role: add [[auth.certificate]] with name and role to gateway.config" }}
{{- end }}
{{- if and $gateway.door.enabled $gateway.keys.existingSecret }}
{{- fail "gateway.door takes the callers' tokens away and gateway.keys needs them: choose one" }}
{{- end }}
{{- if and $gateway.door.enabled $listener }}
{{- fail "gateway.door speaks plain HTTP to the gateway beside it, and gateway.tls would not let it in: use gateway.keys with gateway.tls" }}
{{- end }}
{{- if and $gateway.door.enabled (not $gateway.door.tokens.existingSecret) }}
{{- fail "gateway.door needs gateway.door.tokens.existingSecret: a secret with a line \"Bearer THE-TOKEN\" 1; for each token" }}
{{- end }}
{{- if and .Values.meshInjection (not (include "weft.authentic" .)) }}
{{- fail "meshInjection needs gateway.keys.existingSecret or gateway.tls.clientCA: all that a sidecar lets through comes from loopback, whose callers may do everything without keys" }}
{{- end }}
{{- if and (or .Values.ingress.enabled .Values.httpRoute.enabled $exposed) (not $asked) }}
{{- fail "an Ingress, an HTTPRoute, a NodePort or a LoadBalancer needs gateway.keys.existingSecret, gateway.tls.clientCA, or gateway.door.enabled: without them the gateway answers 401 to callers that are not on loopback" }}
{{- end }}
{{- if not $gateway.allowPlainOutside }}
{{- if and .Values.ingress.enabled (not .Values.ingress.tlsSecret) }}
{{- fail "ingress.enabled without ingress.tlsSecret lets keys pass in clear: name the secret, or set gateway.allowPlainOutside where something in front of the Ingress ends TLS" }}
{{- end }}
{{- if and $exposed (not $listener) }}
{{- fail (printf "gateway.service.type %s without gateway.tls lets keys pass in clear: set gateway.tls, or gateway.allowPlainOutside where something in front of it ends TLS" $gateway.service.type) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The URL that clients use: of what stands in front, else of the Service, else of a port that is forwarded from this machine. */}}
{{- define "weft.endpoint" -}}
{{- $gateway := .Values.gateway -}}
{{- $service := $gateway.service -}}
{{- $scheme := include "weft.scheme" . -}}
{{- $port := ternary "" (printf ":%v" $service.port) (eq (int $service.port) (ternary 443 80 (eq $scheme "https"))) -}}
{{- if eq $service.type "NodePort" }}{{ $port = ":PORT" }}{{ end -}}
{{- $known := concat $gateway.hosts $gateway.tls.certManager.dnsNames -}}
{{- if .Values.ingress.enabled -}}
http{{ if .Values.ingress.tlsSecret }}s{{ end }}://{{ .Values.ingress.host }}/mcp
{{- else if .Values.httpRoute.enabled -}}
https://{{ first .Values.httpRoute.hostnames }}/mcp
{{- else if ne $service.type "ClusterIP" -}}
{{ $scheme }}://{{ default "ADDRESS" (first $known) }}{{ $port }}/mcp
{{- else if include "weft.tls" . -}}
https://{{ include "weft.part" (list . "gateway") }}.{{ .Release.Namespace }}.svc{{ $port }}/mcp
{{- else -}}
http://127.0.0.1:8080/mcp
{{- end }}
{{- end }}

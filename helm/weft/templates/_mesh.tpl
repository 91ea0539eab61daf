{{/* Registry and identity, as the programs are told of them. */}}

{{/* An address of Consul with its options, for --registry and --identity. */}}
{{- define "weft.consul" -}}
{{- $consul := .Values.registry.consul -}}
{{- $options := list -}}
{{- if $consul.tls }}{{ $options = append $options "tls=true" }}{{ end -}}
{{- if $consul.ca.existingSecret }}{{ $options = append $options "ca_file=/etc/weft/consul-ca/ca.crt" }}{{ end -}}
{{- if $consul.token.existingSecret }}{{ $options = append $options "token_file=/etc/weft/consul-token/token" }}{{ end -}}
{{- if $consul.options }}{{ $options = append $options $consul.options }}{{ end -}}
consul://{{ default (printf "%s:%v" (ternary "[$(HOST_IP)]" "$(HOST_IP)" (eq .Values.ipFamily "IPv6")) $consul.port) $consul.address }}{{ if $options }}?{{ join "&" $options }}{{ end }}
{{- end }}

{{- define "weft.registry" -}}
{{- if eq .Values.registry.kind "consul" -}}
{{ include "weft.consul" . }}
{{- else -}}
k8s://{{ .Values.registry.kubernetes.namespace }}?identity=spiffe://{{ .Values.identity.trustDomain }}/svc/{service}
{{- end }}
{{- end }}

{{- define "weft.identity" -}}
{{- if eq .Values.identity.source "consul" }}{{ include "weft.consul" . }}{{ else }}files:/etc/weft/identity{{ end }}
{{- end }}

{{/* The secret with a member's certificate: (list $ "gateway"). */}}
{{- define "weft.identitySecret" -}}
{{- $root := index . 0 -}}
{{- if eq $root.Values.identity.source "secret" -}}
{{- required "identity.source is secret: name the secrets in identity.secretName, for example mesh-{name}-tls" $root.Values.identity.secretName | replace "{name}" (index . 1) }}
{{- else -}}
{{ include "weft.part" . }}-identity
{{- end }}
{{- end }}

{{/* Every address of a pod. */}}
{{- define "weft.any" -}}
{{ ternary "[::]" "0.0.0.0" (eq .Values.ipFamily "IPv6") }}
{{- end }}

{{- define "weft.kind" -}}
{{- default (ternary "StatefulSet" "Deployment" (eq .Values.registry.kind "consul")) .Values.gateway.kind }}
{{- end }}

{{/* A Service's names inside the cluster, as JSON: (list $ "gateway"). */}}
{{- define "weft.serviceNames" -}}
{{- $name := include "weft.part" . -}}
{{- $space := (index . 0).Release.Namespace -}}
{{- list $name (printf "%s.%s" $name $space) (printf "%s.%s.svc" $name $space) (printf "%s.%s.svc.%s" $name $space (index . 0).Values.clusterDomain) | toJson }}
{{- end }}

{{/* The names that clients use from elsewhere, as JSON. */}}
{{- define "weft.publicHosts" -}}
{{- $hosts := list -}}
{{- if .Values.ingress.enabled }}{{ $hosts = append $hosts .Values.ingress.host }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- concat $hosts .Values.gateway.hosts | toJson }}
{{- end }}

{{/* Every name under which clients and operators reach the gateway, as a TOML list; the pod's own is for Prometheus and Consul. */}}
{{- define "weft.hosts" -}}
{{- $hosts := list "$(POD_IP)" -}}
{{- range list "gateway" "gateway-admin" }}{{ $hosts = concat $hosts (include "weft.serviceNames" (list $ .) | fromJsonArray) }}{{ end -}}
{{- $hosts = concat $hosts (include "weft.publicHosts" . | fromJsonArray) -}}
{{- if .Values.gateway.tls.certManager.enabled -}}
{{- range .Values.gateway.tls.certManager.dnsNames }}{{ if not (contains "*" .) }}{{ $hosts = append $hosts . }}{{ end }}{{ end -}}
{{- end -}}
{{- $hosts | uniq | toJson }}
{{- end }}

{{/*
Whether values say where a server's state is, besides its own state directory: $server. What they say is not read: a program of one's
own (command, image) may well keep none.
*/}}
{{- define "weft.hasStore" -}}
{{- if or .config .command .image (and .data.mountPath .data.existingClaim) }}yes{{ end -}}
{{- range $name, $_ := merge (dict) (default dict .env) (default dict .secretEnv) }}{{ if hasPrefix "WEFT_SERVICE__" $name }}yes{{ end }}{{ end -}}
{{- end }}

{{/* What cannot work is refused here, once, with what to do. */}}
{{- define "weft.check" -}}
{{- $consul := eq .Values.registry.kind "consul" -}}
{{- if and (eq .Values.identity.source "consul") (not $consul) }}
{{- fail "identity.source consul needs registry.kind consul: Consul's certificates carry names that only Consul tells" }}
{{- end }}
{{- if and $consul (eq (include "weft.kind" .) "Deployment") }}
{{- fail "gateway.kind Deployment needs registry.kind kubernetes: in Consul replicas are told apart by the numbers of a StatefulSet" }}
{{- end }}
{{- if and .Values.registry.consul.intentions (ne .Values.identity.source "consul") }}
{{- fail "registry.consul.intentions needs identity.source consul: intentions count for Consul's own certificates only" }}
{{- end }}
{{- if and .Values.image.perServer .Values.image.digest }}
{{- fail "image.digest names one image and image.perServer wants one for each program: name them by image.tag, or by servers.<name>.image" }}
{{- end }}
{{- include "weft.checkCallers" . }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host: the name that clients use" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not (and .Values.httpRoute.hostnames .Values.httpRoute.parentRefs)) }}
{{- fail "httpRoute.enabled needs httpRoute.hostnames, the names that clients use, and httpRoute.parentRefs, the gateway that takes them" }}
{{- end }}
{{- range $name, $server := include "weft.servers" . | fromYaml }}
{{- if gt (len (join "_" (default list $server.schemes))) 63 }}
{{- fail (printf "servers.%s: the schemes do not fit into a label, which holds 63 signs; name fewer" $name) }}
{{- end }}
{{- $many := or (gt (int $server.replicas) 1) $server.autoscaling.enabled }}
{{- if and $many (not $server.sharedState) }}
{{- fail (printf "servers.%s: several instances need sharedState true, once its config names a store that all of them share, or its data an existingClaim" $name) }}
{{- end }}
{{- if and $many (not (include "weft.hasStore" $server)) }}
{{- fail (printf "servers.%s: sharedState says that all instances share a store, and nothing names one, so that each would answer from its own; name it in servers.%s.config, or one claim for all in data.existingClaim beside data.mountPath" $name $name) }}
{{- end }}
{{- if and $many $server.state.existingClaim }}
{{- fail (printf "servers.%s: state.existingClaim is one instance's; give several instances a state.size each" $name) }}
{{- end }}
{{- if and $many $server.data.mountPath (not $server.data.existingClaim) }}
{{- fail (printf "servers.%s: several instances would each serve files of their own; name one claim for all in data.existingClaim" $name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The port of Consul, as the network policies must know it. */}}
{{- define "weft.consulPort" -}}
{{- $address := .Values.registry.consul.address -}}
{{- if $address }}{{ regexFind "[0-9]+$" $address | default "8500" }}{{ else }}{{ .Values.registry.consul.port }}{{ end }}
{{- end }}

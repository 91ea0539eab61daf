{{/* The parts of pods that gateway and servers share. */}}

{{/*
Labels and annotations of a pod: (list $ "gateway" $part). No service mesh's sidecar is let in unless values say so: it would take
the mesh's own TLS apart, and all that comes through it comes from loopback.
*/}}
{{- define "weft.podLabels" -}}
{{- $alone := dict "sidecar.istio.io/inject" "false" "istio.io/dataplane-mode" "none" -}}
{{- $own := merge (dict) (default dict (index . 2).podLabels) (ternary dict $alone (index . 0).Values.meshInjection) -}}
{{- include "weft.labels" . }}
{{- with $own }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "weft.podAnnotations" -}}
{{- $alone := dict "linkerd.io/inject" "disabled" "consul.hashicorp.com/connect-inject" "false" -}}
{{- $own := merge (dict) (default dict (index . 2).podAnnotations) (ternary dict $alone (index . 0).Values.meshInjection) -}}
{{- with $own }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "weft.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.podSecurity.runAsUser }}
runAsGroup: {{ .Values.podSecurity.runAsGroup }}
fsGroup: {{ .Values.podSecurity.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  {{- toYaml .Values.podSecurity.seccompProfile | nindent 2 }}
{{- end }}

{{- define "weft.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where replicas go: (list $ "gateway" $part). */}}
{{- define "weft.placement" -}}
{{- $part := index . 2 -}}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if or $part.spread.zone $part.spread.node }}
topologySpreadConstraints:
  {{- $selector := include "weft.selector" (list (index . 0) (index . 1)) }}
  {{- range $key, $when := dict "topology.kubernetes.io/zone" $part.spread.zone "kubernetes.io/hostname" $part.spread.node }}
  {{- if $when }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Variables that say where the pod is; others refer to them. (list $ "number"), which is a StatefulSet's, or "name". */}}
{{- define "weft.place" -}}
{{- $root := index . 0 -}}
- name: POD_IP
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
{{- if eq $root.Values.registry.kind "consul" }}
- name: HOST_IP
  valueFrom:
    fieldRef: {fieldPath: status.hostIP}
{{- end }}
{{- if eq (index . 1) "number" }}
- name: POD_INDEX
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}
{{- else }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef: {fieldPath: metadata.namespace}
- name: POD_NAME
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
{{- end }}
{{- end }}

{{/* Where traces go, in the variables that every program with OpenTelemetry knows: $. */}}
{{- define "weft.telemetryEnv" -}}
{{- $telemetry := .Values.telemetry -}}
{{- if $telemetry.otlp }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $telemetry.otlp | quote }}
{{- with $telemetry.protocol }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ . }}
{{- end }}
{{- with $telemetry.sample }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ . | quote }}
{{- end }}
{{- with $telemetry.headers.existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $telemetry.headers.key }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "k8s.namespace.name={{ .Release.Namespace }},k8s.pod.ip=$(POD_IP)"
{{- end }}
{{- end }}

{{/* The collector's port. */}}
{{- define "weft.collectorPort" -}}
{{- $port := regexFind ":[0-9]+" (regexReplaceAll "^https?://(\\[[^]]*\\]|[^:/]*)" .Values.telemetry.otlp "") | trimPrefix ":" -}}
{{- default (ternary "443" "80" (hasPrefix "https:" .Values.telemetry.otlp)) $port -}}
{{- end }}

{{/* A part's own variables: $part. */}}
{{- define "weft.ownEnv" -}}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $name, $from := .secretEnv }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ $from.key }}
{{- end }}
{{- end }}

{{/* What is mounted into every member of the mesh: (list $ "gateway" $part). */}}
{{- define "weft.mounts" -}}
{{- $root := index . 0 -}}
{{- $part := index . 2 -}}
- name: state
  mountPath: /var/lib/weft
- name: temporary
  mountPath: /tmp
- name: key
  mountPath: /etc/weft/key
  readOnly: true
{{- if ne $root.Values.identity.source "consul" }}
- name: identity
  mountPath: /etc/weft/identity
  readOnly: true
{{- end }}
{{- if $part.config }}
- name: config
  mountPath: /etc/weft/config
  readOnly: true
{{- end }}
{{- if eq $root.Values.registry.kind "consul" }}
{{- range $name, $from := dict "consul-ca" $root.Values.registry.consul.ca "consul-token" $root.Values.registry.consul.token }}
{{- if $from.existingSecret }}
- name: {{ $name }}
  mountPath: /etc/weft/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}
{{- range $at, $file := $part.secretFiles }}
- name: secret-{{ $at }}
  mountPath: {{ $file.mountPath }}
  readOnly: true
{{- end }}
{{- end }}

{{/* The volumes of these mounts, except the state: (list $ "gateway" $part $key). */}}
{{- define "weft.volumes" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $part := index . 2 -}}
{{- $key := index . 3 -}}
- name: temporary
  emptyDir: {}
- name: key
  secret:
    secretName: {{ default (printf "%s-key" (include "weft.part" (list $root $name))) $key.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ $key.key }}
        path: key
{{- if ne $root.Values.identity.source "consul" }}
- name: identity
  secret:
    secretName: {{ include "weft.identitySecret" (list $root $name) }}
    defaultMode: 0440
{{- end }}
{{- if $part.config }}
- name: config
  configMap:
    name: {{ include "weft.part" (list $root $name) }}
{{- end }}
{{- if eq $root.Values.registry.kind "consul" }}
{{- range $volume, $from := dict "consul-ca" $root.Values.registry.consul.ca "consul-token" $root.Values.registry.consul.token }}
{{- if $from.existingSecret }}
- name: {{ $volume }}
  secret:
    secretName: {{ $from.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ $from.key }}
        path: {{ ternary "ca.crt" "token" (eq $volume "consul-ca") }}
{{- end }}
{{- end }}
{{- end }}
{{- range $at, $file := $part.secretFiles }}
- name: secret-{{ $at }}
  secret:
    secretName: {{ $file.secret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* Health on the administration port. The gateway answers only hosts that it knows, and localhost is one. */}}
{{- define "weft.probes" -}}
startupProbe:
  httpGet:
    path: /ready
    port: admin
    httpHeaders:
      - {name: Host, value: localhost}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet:
    path: /ready
    port: admin
    httpHeaders:
      - {name: Host, value: localhost}
  periodSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet:
    path: /live
    port: admin
    httpHeaders:
      - {name: Host, value: localhost}
  periodSeconds: 10
  failureThreshold: 3
{{- end }}

{{/* Names, labels and the image: what every object of the release shares. */}}

{{- define "weft.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/*
35 signs: with a server's name behind it (16) it is that of a StatefulSet, and with a hash behind that (10) the value of a label
(63).
*/}}
{{- define "weft.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 35 | trimSuffix "-" }}
{{- else if contains (include "weft.name" .) .Release.Name }}
{{- .Release.Name | trunc 35 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "weft.name" .) | trunc 35 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels of one part: (list $ "gateway"). */}}
{{- define "weft.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ include "weft.version" $root | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: weft
{{ include "weft.selector" . }}
{{- end }}

{{- define "weft.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "weft.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "weft.version" -}}
{{- default .Chart.AppVersion .Values.image.tag | trunc 63 | trimAll "-_." }}
{{- end }}

{{/* The image of a part: (list $ "gateway"). */}}
{{- define "weft.image" -}}
{{- $image := (index . 0).Values.image -}}
{{- $repository := $image.repository -}}
{{- if $image.perServer }}{{ $repository = regexReplaceAll "[^/]*$" $repository (printf "weft-%s" (index . 1)) }}{{ end -}}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default (index . 0).Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* What starts a part in its image, as JSON: (list $ "gateway"). */}}
{{- define "weft.command" -}}
{{- $name := index . 1 -}}
{{- if (index . 0).Values.image.perServer }}
{{- list (printf "weft-%s" $name) | toJson }}
{{- else }}
{{- ternary (list "weft" "gateway") (list "weft" "serve" $name) (eq $name "gateway") | toJson }}
{{- end }}
{{- end }}

{{/* The name of a part's objects: (list $ "filesystem"). */}}
{{- define "weft.part" -}}
{{- printf "%s-%s" (include "weft.fullname" (index . 0)) (index . 1) }}
{{- end }}

{{/* The enabled servers with their defaults, as YAML: names to settings. */}}
{{- define "weft.servers" -}}
{{- $servers := dict }}
{{- range $name, $own := .Values.servers }}
{{- $server := mustMergeOverwrite (mustDeepCopy $.Values.serverDefaults) (mustDeepCopy (default dict $own)) }}
{{- if $server.enabled }}
{{- $_ := set $servers $name $server }}
{{- end }}
{{- end }}
{{- toYaml $servers }}
{{- end }}

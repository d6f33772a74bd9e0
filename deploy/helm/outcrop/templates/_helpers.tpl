{{- define "outcrop.secret" -}}
{{ .Values.existingSecret | default (printf "%s-secrets" .Release.Name) }}
{{- end }}

{{- define "outcrop.environment" -}}
- name: OUTCROP_HOME
  value: /shared/outcrop
- name: OUTCROP_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ include "outcrop.secret" . }}, key: database-url}
- name: RAY_AUTH_MODE
  value: token
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ include "outcrop.secret" . }}, key: cluster-token}
{{- range $name, $value := .Values.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "outcrop.security" -}}
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
# Else each pod that starts would open the home to the group again.
fsGroupChangePolicy: OnRootMismatch
{{- end }}

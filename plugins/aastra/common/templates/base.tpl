{#-
  The file of every phone. What is written here holds for all models: the models' own templates extend this one.

  To change something for all phones, copy this file to var/templates and edit it there. To change something for one
  model, put a template of the model's name there that overrides a block; see 6731i.tpl. The blocks are: server,
  network, time, language, passwords, syslog, sip, lines, keys, xml, and local, which is last and left to you.

  Values go through the filter `quoted`, which puts quotes around those that need them.

  Nothing is locked: what was changed at a phone hides what is written here. `^name: value` takes such a change back
  at each boot, `!name: value` also forbids it. Firmware before 2.4 does not understand such lines.
-#}
# {{ XX_mac }}.cfg, made by provd. It is made again when the configuration changes; do not edit it.

{% block server -%}
# Where the phone finds its files
download protocol: {{ XX_server.protocol }}
{% if XX_server.protocol == "HTTPS" -%}
https server: {{ XX_server.host | quoted }}
https port: {{ XX_server.port }}
https path: {{ XX_server.path | quoted }}
{% else -%}
http server: {{ XX_server.host | quoted }}
http port: {{ XX_server.port }}
http path: {{ XX_server.path | quoted }}
{% endif -%}
contact rcs: 0
auto resync mode: 0
{% endblock %}
{% block network -%}
# Network
{% if dns_enabled -%}
dns1: {{ dns_ip | quoted }}
{% endif -%}
{% if vlan_enabled -%}
tagging enabled: 1
vlan id: {{ vlan_id }}
{% if vlan_priority is defined -%}
priority non-ip: {{ vlan_priority }}
{% endif -%}
vlan id port 1: {{ vlan_pc_port_id | default(4095) }}
{% else -%}
tagging enabled: 0
{% endif -%}
{% endblock %}
{% block time -%}
# Time
{% if ntp_enabled -%}
time server disabled: 0
time server1: {{ ntp_ip | quoted }}
{% else -%}
time server disabled: 1
{% endif -%}
{% if XX_timezone -%}
{{ XX_timezone }}
{% endif -%}
{% if XX_clock -%}
time format: {{ XX_clock.time_format }}
date format: {{ XX_clock.date_format }}
{% endif -%}
{% endblock %}
{% block language -%}
# Language and tones
{% set pack, tone_set, input_language = XX_locale -%}
{% if pack -%}
language: 1
language 1: {{ XX_language_folder }}/{{ pack }}
web language: 1
{% else -%}
language: 0
web language: 0
{% endif -%}
{% if input_language -%}
input language: {{ input_language }}
{% endif -%}
{% if tone_set -%}
tone set: {{ tone_set }}
{% endif -%}
{% endblock %}
{% block passwords -%}
# Passwords of the phone, where they are not the vendor's
{% if admin_password is defined -%}
admin password: {{ admin_password | quoted }}
{% endif -%}
{% if user_password is defined -%}
user password: {{ user_password | quoted }}
{% endif -%}
{% endblock %}
{% block syslog -%}
# Syslog{{ "" if syslog_enabled else ": off" }}
{% if syslog_enabled -%}
log server ip: {{ syslog_ip | quoted }}
log server port: {{ syslog_port }}
{% for module in ["ept", "ind", "kbd", "linemgr", "net", "provis", "rtpt", "sip", "snd", "stun", "user interface"] -%}
log module {{ module }}: {{ XX_log_level }}
{% endfor -%}
{% endif -%}
{% endblock %}
{% block sip -%}
# SIP, all lines
sip transport protocol: {{ XX_transport_proto }}
{% if XX_transport_proto == 4 -%}
sips persistent tls: 1
{% endif -%}
{% if XX_trusted_certificates -%}
sips trusted certificates: {{ XX_trusted_certificates }}
{% endif -%}
{% if XX_root_certificates -%}
sips root and intermediate certificates: {{ XX_root_certificates }}
{% endif -%}
{% if XX_local_certificate -%}
sips local certificate: {{ XX_local_certificate }}
{% endif -%}
{% if XX_local_key -%}
sips private key: {{ XX_local_key }}
{% endif -%}
sip srtp mode: {{ XX_srtp_mode }}
{% if XX_dtmf_method is not none -%}
sip out-of-band dtmf: {{ XX_out_of_band_dtmf }}
sip dtmf method: {{ XX_dtmf_method }}
{% endif -%}
{% if sip_subscribe_mwi is defined -%}
sip explicit mwi subscription: {{ sip_subscribe_mwi | int }}
{% endif -%}
{% if sip_subscribe_mwi -%}
sip explicit mwi subscription period: 3600
{% endif -%}
{#- Answers to the port that a request came from, so that phones behind NAT work. -#}
sip rport: 1
{% if exten_pickup_call -%}
directed call pickup: 1
directed call pickup prefix: {{ exten_pickup_call | quoted }}
{% else -%}
directed call pickup: 0
{% endif -%}
{% endblock %}
{% block lines -%}
# SIP lines{{ "" if XX_lines else ": none" }}
{% for line in XX_lines -%}
sip line{{ line.index }} screen name: {{ line.display_name | quoted }}
{% if line.number -%}
sip line{{ line.index }} screen name 2: {{ line.number | quoted }}
{% endif -%}
sip line{{ line.index }} display name: {{ line.display_name | quoted }}
sip line{{ line.index }} user name: {{ line.username | quoted }}
sip line{{ line.index }} auth name: {{ line.auth_username | quoted }}
sip line{{ line.index }} password: {{ line.password | quoted }}
sip line{{ line.index }} proxy ip: {{ line.proxy_ip | quoted }}
sip line{{ line.index }} proxy port: {{ line.proxy_port }}
sip line{{ line.index }} registrar ip: {{ line.registrar_ip | quoted }}
sip line{{ line.index }} registrar port: {{ line.registrar_port }}
sip line{{ line.index }} backup proxy ip: {{ line.backup_proxy_ip | quoted }}
sip line{{ line.index }} backup proxy port: {{ line.backup_proxy_port }}
sip line{{ line.index }} backup registrar ip: {{ line.backup_registrar_ip | quoted }}
sip line{{ line.index }} backup registrar port: {{ line.backup_registrar_port }}
sip line{{ line.index }} outbound proxy: {{ line.outbound_proxy_ip | quoted }}
sip line{{ line.index }} outbound proxy port: {{ line.outbound_proxy_port }}
{% if line.XX_dtmf_method is not none -%}
sip line{{ line.index }} dtmf method: {{ line.XX_dtmf_method }}
{% endif -%}
sip line{{ line.index }} srtp mode: {{ line.XX_srtp_mode }}
{% if line.voicemail -%}
sip line{{ line.index }} vmail: {{ line.voicemail | quoted }}
{% endif -%}
{% endfor -%}
{% if XX_parking -%}
{{ XX_parking }}
{% endif -%}
{% endblock %}
{% block keys -%}
# Function keys{{ "" if XX_fkeys else ": none" }}
{% if XX_fkeys -%}
{{ XX_fkeys }}
{% endif -%}
{% endblock %}
{% block xml -%}
# Who may send XML objects to the phone
xml application post list: {{ ip | quoted }}
{% endblock %}
{% block local -%}
# Own settings of the site: none
{% endblock %}
# End of {{ XX_mac }}.cfg{{ "\n" }}

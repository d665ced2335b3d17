{#-
  The 6731i: 6 lines and 8 keys with paper labels (prgkey1 to prgkey8).

  To change something for all phones of this model, copy this file to var/templates and override a block of base.tpl in
  the copy; base.tpl lists its blocks, and {{ super() }} stands for what it says there. To add settings:

      {% block local %}
      call waiting: 0
      {% endblock %}
-#}
{% extends "base.tpl" %}

{#-
  The 9480i: 9 lines and 6 keys beside the screen (softkey1 to softkey6).

  To change something for all phones of this model, copy this file to var/templates and override a block of base.tpl in
  the copy; base.tpl lists its blocks, and {{ super() }} stands for what it says there. To add settings:

      {% block local %}
      call waiting: 0
      {% endblock %}
-#}
{% extends "base.tpl" %}

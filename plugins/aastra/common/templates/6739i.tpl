{#-
  The 6739i: 9 lines, 55 keys on the screen (softkey1 to softkey55) and up to 3 expansion modules (expmod1 key1 …).

  To change something for all phones of this model, copy this file to var/templates and override a block of base.tpl in
  the copy; base.tpl lists its blocks, and {{ super() }} stands for what it says there. To add settings:

      {% block local %}
      call waiting: 0
      {% endblock %}
-#}
{% extends "base.tpl" %}

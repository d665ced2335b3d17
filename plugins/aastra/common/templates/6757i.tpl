{#-
  The 6757i: 9 lines, 10 keys above (topsoftkey1 to topsoftkey10) and 20 below the screen (softkey1 to
  softkey20), up to 3 expansion modules (expmod1 key1 …).

  To change something for all phones of this model, copy this file to var/templates and override a block of base.tpl in
  the copy; base.tpl lists its blocks, and {{ super() }} stands for what it says there. To add settings:

      {% block local %}
      call waiting: 0
      {% endblock %}
-#}
{% extends "base.tpl" %}

"""What this app finds wrong with flows and questions to reports, told in the operator's language (common.told)."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from common.told import teach

teach(  # flows
    _("the flow must be an object with a trigger, a start and nodes"),
    _("a flow needs a trigger with a type"),
    _("a flow needs at least one node"),
    _("at most %(n)s nodes"),
    _("must name one of the nodes"),
    _("must say where each port leads: %(ports)s"),
    _("must be text"),
    _("must be an object"),
    _("must be a list"),
    _("no trigger '%(key)s' (known: %(these)s)"),
    _("no step '%(key)s' (known: %(these)s)"),
    _("a node's key has lower-case letters, digits, - and _, at most 60"),
    _("this step has no such port"),
    _("only a step with the port 'next' can be skipped"),
    _("this port leads nowhere"),
    _("there is no node '%(key)s'"),
    _("cannot be reached from the start"),
    _("no end can be reached from here"),
    _("the flow has no end: add an exit"),
    _("a loop without a wait: %(way)s"),
)
teach(  # triggers, entries and steps
    _("say one of 'fact', 'left_segment' and 'entered_segment'"),
    _("'cooldown' goes with reentry \"cooldown\", and only with it"),
    _("\"keyed\" needs a trigger that names a 'key'"),
    _("'%(zone)s' is not a time zone"),
    _("say either 'on' which day, or 'every' what"),
    _("'%(name)s' is a wall time without a zone, such as %(example)s"),
    _("say how many points, or which badge"),
    _("the names of branches must differ from each other and from 'else'"),
    _("the keys of arms must differ"),
    _("say how long ('for') or until what time ('until') to wait"),
)
teach(  # journeys as text
    _("there is no such template"),
)
teach(  # reports
    _("a day between 2000 and 2100, please"),
    _("'from' lies after 'to'"),
    _("group by at least one of %(these)s"),
    _("no model '%(key)s' (known: %(these)s)"),
)

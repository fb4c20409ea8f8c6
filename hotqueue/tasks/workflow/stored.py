"""What pickles of signatures call, to be made again; they know it by names of `hotqueue.tasks`, wherever these files go."""

from __future__ import annotations

from typing import Any

from hotqueue.tasks.workflow.chain import ChainForm, chain
from hotqueue.tasks.workflow.chord import ChordForm, chord
from hotqueue.tasks.workflow.form import Form
from hotqueue.tasks.workflow.group import GroupForm, group
from hotqueue.tasks.workflow.signature import Signature, of_form
from hotqueue.tasks.workflow.task_form import TaskForm

_FORMS: dict[str, type[Form]] = {form.kind: form for form in (TaskForm, ChainForm, GroupForm, ChordForm)}
_SIGNATURES: dict[str, type[Signature[Any]]] = {"task": Signature, "chain": chain, "group": group, "chord": chord}


def form(kind: str, state: dict[str, Any]) -> Form:
    """Return the form that was pickled."""
    made = object.__new__(_FORMS[kind])
    Form.__init__(made)
    made.take(state)
    return made


def signature(form: Form) -> Signature[Any]:
    """Return the signature of a form."""
    return of_form(_SIGNATURES[form.kind], form)


form.__module__, form.__qualname__ = "hotqueue.tasks", "make_form"
signature.__module__, signature.__qualname__ = "hotqueue.tasks", "make_signature"

"""YAML with positions -> frozen pydantic models, and the errors a person reads when a file is wrong."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """The base of every part of a recipe or configuration: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

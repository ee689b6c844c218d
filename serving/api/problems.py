"""Type of an error answer: a problem document (RFC 9457)."""

from pydantic import BaseModel, Field

from serving.api.base import Part


class Problem(BaseModel):
    """Every error of the endpoint: what it is, what was found, and what to do."""

    type: str = Field(description="path of the page that explains this kind of problem")
    title: str = Field(description="the kind of problem in a few words")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="what was found")
    instance: str = Field(description="path that was asked for")
    hint: str = Field(description="what to do")
    correlation_id: str = Field(description="identifier under which the service's log speaks of this request")
    nearest: list[str] = Field(default_factory=list, description="names close to one that does not exist")


class ProblemPage(Part):
    """One kind of problem, explained."""

    type: str
    title: str
    status: int
    meaning: str
    hint: str


class ProblemPages(Part):
    """Every kind of problem the endpoint answers with."""

    problems: list[ProblemPage]

"""What a classifier is, and what it was trained on, as JSON."""

from fercache.loading.model_card import Card, model_card
from fercache.loading.models import PROMPTS
from fercache.predicting.classifiers import Classifier
from fercache.settings import Settings


def description(classifier: Classifier, settings: Settings) -> Card:
    """The card of its model. Scores are left out where they are of other prompts or of the head before an adaptation.

    Raises UsageError for damaged runs.
    """
    card = model_card(settings, classifier.title, classifier.request)
    if not classifier.runs:
        card |= {"classes": list(classifier.names), "settings": {"prompts": classifier.prompts or "sentences"}}
    if classifier.adapted_by:
        card["adapted_by"] = classifier.adapted_by
    if classifier.adapted_by or classifier.prompts != PROMPTS:
        card |= {"scores": [], "never_shown": []}
    return card

from likewise import models as models
from likewise import util as util
from likewise.sentence_transformer import SentenceTransformer as SentenceTransformer

__version__: str
__all__: list[str]

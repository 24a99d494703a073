from likewise import cross_encoder as cross_encoder
from likewise import evaluation as evaluation
from likewise import losses as losses
from likewise import models as models
from likewise import util as util
from likewise.cross_encoder.cross_encoder import CrossEncoder as CrossEncoder
from likewise.cross_encoder.trainer import CrossEncoderTrainer as CrossEncoderTrainer
from likewise.cross_encoder.trainer import CrossEncoderTrainingArguments as CrossEncoderTrainingArguments
from likewise.encoding.cache import EmbeddingCache as EmbeddingCache
from likewise.sentence_transformer import SentenceTransformer as SentenceTransformer
from likewise.training.arguments import SentenceTransformerTrainingArguments as SentenceTransformerTrainingArguments
from likewise.training.callbacks import EarlyStoppingCallback as EarlyStoppingCallback
from likewise.training.examples import InputExample as InputExample
from likewise.training.trainer import SentenceTransformerTrainer as SentenceTransformerTrainer

__version__: str
__all__: list[str]

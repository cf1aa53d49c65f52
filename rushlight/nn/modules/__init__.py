"""The modules, one concept a file."""

from rushlight.nn.modules.activation import (
    ELU as ELU,
    GELU as GELU,
    LeakyReLU as LeakyReLU,
    LogSigmoid as LogSigmoid,
    LogSoftmax as LogSoftmax,
    ReLU as ReLU,
    Sigmoid as Sigmoid,
    SiLU as SiLU,
    Softmax as Softmax,
    Softmin as Softmin,
    Softplus as Softplus,
    Tanh as Tanh,
)
from rushlight.nn.modules.container import ModuleDict as ModuleDict, ModuleList as ModuleList, Sequential as Sequential
from rushlight.nn.modules.dropout import Dropout as Dropout
from rushlight.nn.modules.flatten import Flatten as Flatten, Unflatten as Unflatten
from rushlight.nn.modules.linear import Identity as Identity, Linear as Linear
from rushlight.nn.modules.loss import (
    BCELoss as BCELoss,
    BCEWithLogitsLoss as BCEWithLogitsLoss,
    CrossEntropyLoss as CrossEntropyLoss,
    HuberLoss as HuberLoss,
    KLDivLoss as KLDivLoss,
    L1Loss as L1Loss,
    MSELoss as MSELoss,
    NLLLoss as NLLLoss,
    SmoothL1Loss as SmoothL1Loss,
)
from rushlight.nn.modules.normalization import LayerNorm as LayerNorm
from rushlight.nn.modules.parameters import ParameterDict as ParameterDict, ParameterList as ParameterList
from rushlight.nn.modules.sparse import Embedding as Embedding

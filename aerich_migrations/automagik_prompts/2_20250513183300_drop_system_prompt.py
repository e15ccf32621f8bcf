"""Drop `agents.system_prompt` where it exists, once each of its texts has an equal version in `prompts`.

What stood there, NULL and blank texts too, is kept aside for the way back.
"""

from tortoise import BaseDBAsyncClient

from automagik_prompts.schema.legacy import adopt, backup, locks

RUN_IN_TRANSACTION = True


async def upgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    await adopt.drop_text_column(await locks.begin(client, __file__))
    return "SELECT 1"


async def downgrade(client: BaseDBAsyncClient) -> str:
    if client is None:
        return "SELECT 1"
    await backup.give_texts_back(await locks.begin(client))
    return "SELECT 1"


MODELS_STATE = (
    "eJztW21v2zYQ/iuCviwD0iBx0rQotgF26ixZE7tI3LVoEQi0RNtEJFKlqMRG5v8+knp/tW"
    "XEqi3oS2If76jzw+Pp7qH0ogKXEQtM0aNmU2LZzDnqTiFmd+RZ/aC8qBhYkH8oUzvko7ad"
    "qyTGGBib3hTCQIrA2GEU6IxLJ8B0IBcZ0NEpshkiWOh2sSLVPyhAES4cKog5ik2RBehCcR"
    "hgrnOoAGxI+TNFDCo6cTGD9EhcwSA6vwTC09eYzMXopws1RqaQzSDlU/544GKEDTiHTvDV"
    "ftQmCJpGAjZkiAmkXGMLW8quMbuUisLPsaYT07VwpGwv2IzgUBthJqTcf0gBg2J6Rl0BGX"
    "ZN08c2QNHzNFLxXIzZGHACXFMAL6w9ByKZqmmD4Ui77480Tc0sSmARg9YX6QSLBUViecWv"
    "nwoX3nROzt6dvT89P3vPVaSboeTd0rt0BIxnKOEZjNSlHAcMeBoS4whU+T8D68UM0HxcA/"
    "0UstzlNLIBjrsLrQXmmgnxlM0Enm/flgD5b/fu4qp7d8C1fheXJHzLeTtx4A91vDGBdoSu"
    "77Pm7QvtES6qYJ1v/TrIB4II+ih7hDgHH/d3AXhiRE8wcN1PpVqlTFI2xer8krMWfoxXWo"
    "qdzzAR5E+AIvFLnSzG/9wPB/kgJ4xSqBpIZ8p/iomcddDdLNL/mLhYF8gpYxeZDGHnSFzv"
    "r22FfgmiAiQxs+U4P814gB/cdr+lY//iZtiTkBGHTamcRU7QSy0KhU/IET6uH/dxk43ifK"
    "OVON6TKNcpFL9cAywL6Rem50OaNEqHOR9iyIJHwYdtQbzFXFIC4ej6tn8/6t5+TsT2x+6o"
    "L0Y6UrpISQ/OU/EeTqJ8vR5dKeKr8n046Ke3QKg3+q4Kn0QxrWHyrAEjjkkgDkSJFXZto/"
    "oKJ43aFd65FRbdxeQxVgoLwRjoj8+AGlpiJAoF+BR0W8kw6Pl2l5/uoAlYfrLMdnv9p6jb"
    "28/lj6R+PZPYObGG9VXw+iz/NwwwEXekQ4oiMTtkday0BGDeixv+tYNdUBBr5QREPCTXIi"
    "D8MjjaGat5iCGGvIjjf8hEAT6N8Juj8MtBbLwh2FwoM15zEbrI0g4VbVezDD88CsWv4/nf"
    "h5Z3qJN32Kwj/lWd8H6zEEBnuaV/Mc6RRQMxPu2sAfFppxBhMbTMueFVoxVaHmEVjwBpxY"
    "41ZtECmgV0wiNOq45q2qyFNgstr5VmhFbKsKHFRhl21/Dc/k0ME5ZzUDGC84KwDfSbAG9Z"
    "093/NipnC8Oe+2Y4+DtQT1OILVvYsoU7Fdb7wCUl7gCxbnLdg6WYSX1bZsfvqhl+LgVxFt"
    "9LQiGa4k9wIWG+5i4BrOfl/vLnLvYM7CJiiYspeA5pjESUcSwMaELm1Sbd+4vux766LGZA"
    "a+KoIn6vnKRK8IAVWKoK/JRf5wqaifCvjJcX+WRUkWIO85SkmpIURlBXP6ToqRc1grHIXJ"
    "jAuc2TmJgiRDw8v0BGgInGXdS8c2wJj78fVDkBR0V8Ub5e9e/6CnJ8ReVPGU6qzHKrnYn/"
    "lnK/kDEP/ZK9hU6MddwKDuBDm9DDlrlrmbtmNj31cyAbgXyy06Gc4elEsq7SSqbMGhG8db"
    "eUE0KtvO6nOGNEFjU+8TYD2DDhGFBHrSVrnJyvkTRO0o1NlDPEUBLo8Aaec/xKiAkBLrj9"
    "xe1SiI+54bYgDyX1BnlvOLxJBHnvOh3FX257fQ6+xJ4rIa9szmaVvNqkOvi5U7TrUGEdan"
    "2UeccYwhpqEX5FJkr/GXBmVWBO2zXi9pnE+/xsDbjPzwrRFkPtgUJ7oNDY6q/lv5vOf7dP"
    "yzZ9hdsTjvaEoz3h2OyEowsp0mfqipeAPaXDdV8BjtRXHW0UQ96+jrtb5Hoh4Vtc+Bczvk"
    "1orbbzQCzfXxUQ9tUbiO7J8fE6/OPxcTEBKcZyiYIswsWvf8ZM6n/589fUf6/2mmeFN5pe"
    "/263/B9Xs3Xr"
)

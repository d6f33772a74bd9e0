"""The language of a text: by script and rules first, then by the library py3langid where it is installed.

The rules are told to the reader as such: kana make a text Japanese, Hangul makes it Korean, and lines of ABC notation
are music. Where the library is missing, other texts are named by their script alone.
"""

import re
from collections import Counter
from functools import cache
from importlib.util import find_spec
from typing import Any

_LIBRARY = "py3langid"
_LEAST_LETTERS = 20
"Of a text whose language is told; shorter ones are guesses."
_READ = 300
"Letters that the library reads; more say no more and take their time."
_SCRIPTS = (
    ("Latin", re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")),
    ("kana", re.compile(r"[\u3041-\u309f\u30a0-\u30ff\uff66-\uff9f]")),
    ("Chinese", re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")),
    ("Hangul", re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")),
    ("Cyrillic", re.compile(r"[\u0400-\u052f]")),
    ("Greek", re.compile(r"[\u0370-\u03ff]")),
    ("Arabic", re.compile(r"[\u0600-\u06ff\u0750-\u077f]")),
    ("Hebrew", re.compile(r"[\u0590-\u05ff]")),
    ("Devanagari", re.compile(r"[\u0900-\u097f]")),
    ("Thai", re.compile(r"[\u0e00-\u0e7f]")),
)
_ABC_HEAD = re.compile(r"^[XTMLKQRC]: ?\S", re.MULTILINE)
_ABC_ASIDE = re.compile(r"^%.*$|\"[^\"\n]{1,12}\"", re.MULTILINE)
_ABC_MUSIC = re.compile(r"[A-Ga-gzx\d/|:,'^_=()\[\]<>~{}.\\ \n-]")
_ABC_LEAST_BARS, _ABC_LETTERS_A_BAR = 2, 30
_NAMES = {
    "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan",
    "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish",
    "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ka": "Georgian",
    "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "la": "Latin", "lo": "Lao", "lt": "Lithuanian",
    "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi", "ms": "Malay",
    "my": "Burmese", "ne": "Nepali", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sk": "Slovak", "sl": "Slovenian",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese",
    "zh": "Chinese", "zxx": "code or figures",
}  # fmt: skip
"The languages that are told apart: of the library's 139, those that many people write."


class Languages:
    """A teller of languages."""

    @property
    def by_script_only(self) -> bool:
        """Whether the library is missing."""
        return find_spec(_LIBRARY) is None

    def of(self, text: str) -> str:
        """The language's name, for people."""
        if _is_abc(text):
            return "ABC notation"
        scripts = _scripts(text)
        num = scripts.total()
        if num == 0:
            return "texts without letters"
        if scripts["kana"] * 20 >= num:
            return "Japanese with Latin letters" if scripts["Latin"] * 10 >= 3 * num else "Japanese"
        if scripts["Hangul"] * 2 >= num:
            return "Korean"
        if num < (4 if scripts["Chinese"] * 2 >= num else _LEAST_LETTERS):
            return "short texts"
        identifier = _identifier()
        if identifier is None:
            return f"{scripts.most_common(1)[0][0]} letters"
        code = str(identifier.classify(text[:_READ])[0])
        return _NAMES.get(code, code)


def _is_abc(text: str) -> bool:
    if len(_ABC_HEAD.findall(text)) >= 2 and "|" in text:
        return True
    music = _ABC_ASIDE.sub("", text).strip()
    bars = music.count("|")
    if bars < _ABC_LEAST_BARS or len(music) > _ABC_LETTERS_A_BAR * bars:
        return False
    return len(_ABC_MUSIC.findall(music)) * 20 >= 19 * len(music)


def _scripts(text: str) -> Counter[str]:
    return Counter({name: found for name, script in _SCRIPTS if (found := len(script.findall(text)))})


@cache
def _identifier() -> Any:
    """The library's identifier, where it is installed; opened when it is needed, in a quarter of a second."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError:
        return None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(_NAMES))
    return identifier

"""The managed list of profanity: Outcrop's own, English and Japanese, of words that are hardly anything else.

Amazon's list is not public. This one is short on purpose: a word that also has a harmless meaning, or that harmless
words hold (Japanese is written without blanks), is not in it. Add your own by wordsConfig.
"""

_ENGLISH = """
arse, arsehole, arseholes, ass, asses, asshole, assholes, asshat, bastard, bastards, bitch, bitches, bitchy, bollocks,
bullshit, bullshitter, clusterfuck, cock sucker, cocksucker, cocksuckers, crap, crappy, cum slut, cunt, cunts, damn,
damned, damnit, dammit, dickhead, dickheads, dipshit, douchebag, douchebags, dumbass, dumbasses, dumbfuck, fuck, fucked,
fucker, fuckers, fuckface, fucking, fucks, fuckwit, god damn, goddamn, goddamned, goddamnit, horseshit, jackass,
jackasses, jerk off, jerkoff, motherfuck, motherfucker, motherfuckers, motherfucking, piss off, pissed off, prick,
pricks, pussies, shit, shite, shitface, shithead, shitheads, shithole, shits, shitty, slut, sluts, slutty,
son of a bitch, tosser, tossers, twat, twats, wanker, wankers, whore, whores
"""
_JAPANESE = """
くそったれ, クソったれ, 糞ったれ, くそやろう, くそ野郎, クソ野郎, 糞野郎, クソヤロウ, クソヤロー, くそばばあ,
クソババア, くそじじい, クソジジイ, クソガキ, くそがき, 糞ガキ, ばかやろう, ばか野郎, バカ野郎, 馬鹿野郎,
バカヤロウ, バカヤロー, 馬鹿やろう, あほんだら, アホンダラ, ぶっ殺す, ぶっころす, ぶち殺す, くたばれ,
クタバレ, ちくしょうめ, こんちくしょう, この畜生, きちがい, キチガイ, 基地外野郎, ヤリマン, やりまん,
あばずれ, アバズレ, 売女, 死にやがれ, しにやがれ, 死ねよ, 死ねクソ, ゴミクズ野郎, クズ野郎, くず野郎, 屑野郎,
ファック野郎, マザーファッカー, ふぁっきん, ファッキン, ビッチ野郎
"""
WORDS: tuple[str, ...] = tuple(
    word.strip() for language in (_ENGLISH, _JAPANESE) for word in language.replace("\n", " ").split(",")
)

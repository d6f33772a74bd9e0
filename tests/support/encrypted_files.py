"""Documents that open with a password only: a PDF written here, and files that an Office encryption has made.

Those of Office hold a line of text each, encrypted with AES (ECMA-376 agile encryption) and compressed for this file.
"""

import base64
import io
import zlib

from pypdf import PdfReader, PdfWriter

from tests.support.pdf_files import PdfFile, column

_PASSWORD = "secret"


def encrypted_pdf() -> bytes:
    """A page of text, encrypted with AES of 256 bits."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(PdfFile([column(72, 700, ["A page of secrets."])]).to_bytes())))
    writer.encrypt(_PASSWORD, algorithm="AES-256")
    content = io.BytesIO()
    writer.write(content)
    return content.getvalue()


def encrypted_docx() -> bytes:
    return zlib.decompress(base64.b85decode(_DOCX))


def encrypted_xlsx() -> bytes:
    return zlib.decompress(base64.b85decode(_XLSX))


_DOCX = (
    "c-rk(*>d7W6m7hX?PQXfER%^dnNjJL8ViKM-~uM>yV)`Jo6v#;Xo(~+kjg_oWj-N)kjK0wKai^AEk6-ES3+RG_5^t*m8E=Dho-yL_w>E@s0B"
    "a&^!V4;-"
    "|zi~mMo0c(Z%Hs+L{}40M@3RN0YvRi_6Q)>G0*f{io~?fKk77sNIHDOQYrw0NYmo;yz9PTbn+=>vOeUuKzBy?*ZNiJOq3I_;7LrpvQoZ03QQ"
    "B0elL00{9H@6!1A<5AX%x8Q@F6bHEGB_r3kIRzWgcI>Jx_NzkfjgzVT8v^hKTcW=81EB^5CyI&mBb`x3R0y9`?lT`tB7BQ%VC>ZI&XB+x|Wj"
    "MT%=Hpp~e+PzscTA?XP#l<aKoxdiFtbRr5&u(o15UX&R*ZjsssVf|FbYrw3E8(tXw6|aeq$(aO<j+^0Ijkz{~qugXUC@X?q7x9_zj`l%AbKe"
    "aFC7F>=|;H@jozYX+Qr}Q}agd+e=!UROI^p7VY2;`8Ra(l{HlZJ_>j=GiDWu_T!)FZ~JeE|N8!x<9E#B-?;<-"
    "7Ci4NaEZWT_v}IDyT^Y14Xyr&ZaRM^G25xYbKqaIeh1q*e_n5*e}x4B1&EtARiFVl$iqI0nVB$@FF<RYQTsQZl+*tJjyv*iTWk3_AJ_`-"
    "1@av{yYu|y9iN4!wca>Szd=d30w{t!(7NFBCGsL4_)5aJ1Ni1P$D**aILsKc5g2zvw%st|LWi&q<Gydvv5mT{y4Txkwec4E*?`M9%Yv_lVh<"
    "azswT)%2zT$haEz5`nGvLR2(Q<YFa0>C>6FA!Jy~Ky_=wf;SK-"
    "|t+@y{a9adrBLDE7vuj|SYL1;A3ij=l53bZO~GN<p;vPj4rC(tZGx?DcuYAHThd!*P{-"
    "DO9Ki33?B6iU<1WtEvaqVMX6W>sB)IZ9{o@Gb@xg!wq7Q<z5e^r|q1*xf!HYxQKhd)0-"
    "TqJj?5lV0fYl*Uiyd<VGcWoERX@T?l?wPjV%c`<}X5>?z9jq#KqnF*hME65BRi^e7%=N47d5wDxX%{?`!ULTk`9`CT37pcZc`6N#=ne6!739"
    "dpoMp%I`5Jg7P*)}*CVOI88CM{BQjva+?g(h;G7Vt*9LyoGAwL?)FD7jLxPRUe}@OtF}QRO{ijw>alz*#EBi==Q`i*=4AH6yg>v_Q27-"
    "EyoMZPjDte4?O^qTO8C*uesqwcmcLk>TiCg`)VRCpP-JlGi<{a;YhIdVSXcU8GKx1lv(mzUD6satXQCERdo{E7$5Rwot8{IDHj$AZS#eam<c"
    "AghaSqiGE~0-uc36;aM3L#<9LCytU}U3ndOJN3(b#ub8F?QcUhkIw-"
    "|u7;ZyKi{e?b1)05DWxbJiPIYJ68SUp~wUlNn=ecBO*q6n4WTEB_R)r^uRntI}k(55<K_xSzazHDTIXCYk`mOAl$Q6xMZ=}7^qqPq;$~01AK"
    "i%`3^`p8|kDqrsdOgCYOH4cK95zl<(qXO3pH%DPY$u-@51F{D#`H<vm2O2!QZdDQyc)%)5^49?FMCL-"
    "D~$Y$+J#zLWVv+UI8hdoPH#1ND#Yb@O%j?NZ>*Z-oZ|4j9pJ0k6OtKd;^~zfO=&C$$dW0sq|@Ns!5H2}_jYf$+n@BP9d7"
)

_XLSX = (
    "c-rk(>vGyg6kdEuY`1BXUeeS}Q;q&IF^H@20I9&pV8CDt<ID7qED0o#R<a}lxYHkffxbf?p>NQi{nx%gXVM3$-"
    "6J6|U^_)lI=zgK=407i?S6aC`E&%o{_^Pcs~=Z?M^lzY^XU9y8QmKj^8x0Dori<Ijq{6(i{bFao&Bfm4}hJ&dC1*@n@c<A_W?_8|NJgY|63b"
    "Azw=|cp3eUYwC@4l2Rs0L0QhiF0?;GCM}Ut3p8!4uJO+FQcmntwunPDB@D%VR;2Gd6ckes<XKfE@a9M~zIfS7#P#<}*$7pd>^H*-"
    "T=k*WY{Pf`a-+aS%5xL?5vsrnERR?wv38;!V7-_?26Z(H;B)pNv{h5V-8O9EMgSmTX6PPRj3n#FdMPz#L{|USShujM@`aeEb2R;KBWyk_X-"
    "t8fp^Lh2(9xJ(XSG_MotIy283jB8MSaje0v+&!$A@m#h3lN6}L}NC4ihPd$_nlmNk3Z{Z-"
    "j029N{fSxTs_~UMQ#y)TPI(;b2Z@OfX8%vHjwJw|B?Qd{s#ZAo^RTJ-"
    "^l;vTkzk5=iLA<6<EC19^|}xyvN_x>d)x9`ZMs^O9q|+|D5|f*h~F+wTS)|mIRc+Z{AUX31~nZ)=<`ogsprTTDwNAU0W%K{{eir<X>{vN@IH"
    "vGrSi<@8H=T=MUZTSvYjp+x7HY#K4t6Gzvo-gwN+Fiej)A1K%R>jdI2^aI#I9v1e%*ry$xCj08~}&SBs89oq4bms!txQ?3@?LO%;|*|jYBqN"
    "ggvOVKc84W~$IEl3g~<~2da%@ny`W1g>*glTbD;1msuDY7q`<csu55^gg3x&^BU*a4d<QnD<4BM>loNmMy=O_g~=Gqr}b#%pRoYcynD41|Kg"
    "Sm1IgIas@)dsy8T`?<jeni0@B)9h-7Fx-"
    "g0?MA$4STf9UmPn>o2(To~Z*mq#n4Ds<@)`I}#Yo~r(fIad7jDYP7I+_uLQmpMX)qUykj^e6<7HhE4O(exhHOb{illQa>5gV4PR35ahu_MYA"
    "Z9b!!H#2#*gPGjLZox1I;V7iDNs@?hQ^nSc&ywwrPmLG99N-"
    "JDUt}djtJmI0b61dHt7>?^hF`Ba(q$jr${~)@mII`y>`7*35#sG9L^YFu7}%oKfS+49VCu~^{y<RWzH1ED)ADdhvVz&J{GD4OA{i+0%J)yky"
    "E%X8{mq&fi3PRrZ?>qOmMm9#oawjl_Fx6k2kb~9lCUKe4sJ$(^@!V`IW4d3-"
    "x5FQe!q{D%+@r3I|5?q>@twEt2m=g=V<1&K7Z8DIc!u&COO9tGh)m(H-"
    "}9Jh5hal!l3MqGQN!ExPnXij(@r$X|#nVd^r@Y8`BWQi8UT9;7rWo++D<*}GNN8+pf6caS|6L#=wRrJwYVvs>X^h7ao9iJaF(1D+_+$OBOU>"
    "m7(gtFv{g?KPQDJzKRBQHpNtWCU9&Z=}6;NB11!S+RH)#$kptcj~64QxpiIR;l+wwb+*5-`<YorIu1ZQR!Vt52!3#i^g-"
    "uoWFEZu^5(SC^lB4Bh|Kr8=<P%Gg`ZaUUt$C$fZlxiskoAJrq4S-7ah?i5)%BJ?g(?nM1J}-acyk1)T3-tf*(*=A|4RX-"
    "o*nm1$r~r^&Ixm|j75c4s%+pM7;W$^"
)

"""A rule book of a small exchange, and sixty answers to questions about it with a key written by hand.

Each answer is sentences as models write them: close to the rule, in other words, with something added, with a wrong
number, or against the rule. The key names the rules that bear a sentence out; an empty one says that no rule does.
"""

from typing import NamedTuple


class Rule(NamedTuple):
    """A rule with its number and title."""

    title: str
    text: str


class KeyedAnswer(NamedTuple):
    """A question, and the sentences of an answer, each with the numbers of the rules that support it."""

    question: str
    sentences: tuple[tuple[str, frozenset[str]], ...]

    @property
    def text(self) -> str:
        return " ".join(sentence for sentence, _ in self.sentences)


RULES: dict[str, Rule] = {
    "1.1": Rule(
        "Application for membership",
        "An applicant for membership shall file a written application with the Secretary. The application shall be "
        "accompanied by a fee of 2,500 dollars, which is not refundable. The Membership Committee decides on an "
        "application within 45 days after it is complete.",
    ),
    "1.2": Rule(
        "Capital of members",
        "A member shall maintain net capital of at least 500,000 dollars at all times. A member whose net capital falls "
        "below this amount shall notify the Exchange within one business day and shall cease to accept new customers.",
    ),
    "1.3": Rule(
        "Resignation",
        "A member may resign by written notice to the Secretary. The resignation takes effect 30 days after the notice "
        "is received, provided that all obligations of the member to the Clearing House have been discharged.",
    ),
    "1.4": Rule(
        "Supervisors",
        "Each member shall designate a principal supervisor who has passed the Supervisor Examination. One supervisor "
        "may not be responsible for more than ten registered representatives.",
    ),
    "2.1": Rule(
        "Trading hours",
        "The regular session begins at 9:00 a.m. and ends at 3:30 p.m. on each business day. The Exchange may close the "
        "market early on the day before a public holiday.",
    ),
    "2.2": Rule(
        "Tick size",
        "Orders in shares priced below 1 dollar are entered in increments of 0.001 dollars. Orders in all other shares "
        "are entered in increments of 0.01 dollars.",
    ),
    "2.3": Rule(
        "Halts of trading",
        "Trading in a share is halted for five minutes when its price moves by more than 10 percent within five "
        "minutes. If the price moves by more than 20 percent on the same day, trading is halted until the next session.",
    ),
    "2.4": Rule(
        "Short sales",
        "No member shall sell a share short unless it has borrowed the share, or has reasonable grounds to believe that "
        "the share can be borrowed in time for settlement. Short sales shall be marked as such when they are entered.",
    ),
    "2.5": Rule(
        "Cancelled trades",
        "A member who believes that a trade was made at an erroneous price may ask for its cancellation within 30 "
        "minutes of the execution. The Market Officer shall decide by the end of the session, and the decision is final.",
    ),
    "2.6": Rule(
        "Block trades",
        "A trade of at least 10,000 shares may be negotiated privately. It shall be reported to the Exchange within 15 "
        "minutes and is published at the end of the session.",
    ),
    "3.1": Rule(
        "Statements to customers",
        "A member shall send each customer a statement of account at least once every quarter. The statement shall show "
        "all positions, balances and fees. Statements may be delivered electronically with the customer's consent.",
    ),
    "3.2": Rule(
        "Suitability",
        "A member shall recommend a transaction only if it has reasonable grounds to believe that the recommendation is "
        "suitable for the customer in view of the customer's other holdings, financial situation and needs.",
    ),
    "3.3": Rule(
        "Discretionary accounts",
        "No member shall exercise discretion in a customer's account unless the customer has given prior written "
        "authorization and the account has been accepted by a supervisor. Each discretionary order shall be reviewed "
        "promptly by the supervisor.",
    ),
    "3.4": Rule(
        "Complaints",
        "Each member shall keep a record of every written complaint of a customer for four years. A complaint that "
        "alleges theft shall be reported to the Exchange within ten business days.",
    ),
    "3.5": Rule(
        "Gifts",
        "No member or employee of a member shall give a gift worth more than 100 dollars a year to an employee of "
        "another member. Ordinary business entertainment is not a gift within the meaning of this rule.",
    ),
    "3.6": Rule(
        "Margin",
        "The initial margin of a purchase of shares is 50 percent of their value. The maintenance margin is 25 percent. "
        "A margin call shall be met within three business days, after which the member may liquidate the position.",
    ),
    "4.1": Rule(
        "Listing requirements",
        "A company whose shares are to be listed shall have at least 400 shareholders and a market value of at least 40 "
        "million dollars. It shall have been in operation for three years.",
    ),
    "4.2": Rule(
        "Periodic reports",
        "A listed company shall publish its annual report within 90 days after the end of its financial year and its "
        "interim reports within 45 days after the end of each quarter.",
    ),
    "4.3": Rule(
        "Prompt disclosure",
        "A listed company shall promptly disclose any information that would reasonably be expected to affect the price "
        "of its shares. Disclosure may be delayed where a legitimate business purpose requires confidentiality.",
    ),
    "4.4": Rule(
        "Delisting",
        "The Exchange may delist a company whose share price remains below 1 dollar for 30 consecutive sessions. The "
        "company shall be heard before the decision. An appeal to the Board does not stay the delisting.",
    ),
    "4.5": Rule(
        "Audit committee",
        "Each listed company shall have an audit committee of at least three members, all of whom are independent. At "
        "least one of them shall have experience in accounting.",
    ),
    "5.1": Rule(
        "Records",
        "Members shall preserve order tickets and confirmations for six years, the first two in an easily accessible "
        "place. Electronic records shall be kept in a form that cannot be altered.",
    ),
    "5.2": Rule(
        "Examinations of members",
        "The Exchange examines each member at least once every two years. A member shall furnish any record within five "
        "business days of a request.",
    ),
    "5.3": Rule(
        "Fines",
        "For a breach of these rules the Disciplinary Panel may censure a member, suspend it for up to 12 months, expel "
        "it, or fine it up to 250,000 dollars. A fine is payable within 20 days.",
    ),
    "5.4": Rule(
        "Appeals",
        "A member may appeal a decision of the Disciplinary Panel to the Board within 15 days. A suspension is stayed "
        "while an appeal is pending; an expulsion is not.",
    ),
    "5.5": Rule(
        "Arbitration",
        "Disputes between members are settled by arbitration. Claims of up to 50,000 dollars are decided by a single "
        "arbitrator, larger claims by a panel of three. A claim is barred six years after the event.",
    ),
    "6.1": Rule(
        "Settlement",
        "Trades settle on the second business day after the trade date. A member that fails to deliver shares shall buy "
        "them in on the fourth business day after the settlement date.",
    ),
    "6.2": Rule(
        "Guarantee fund",
        "Each clearing member contributes at least 1 million dollars to the guarantee fund. The fund may be used only "
        "to cover losses from the default of a clearing member.",
    ),
    "7.1": Rule(
        "取引時間",
        "午前の取引は9時に始まり、11時30分に終わる。午後の取引は12時30分に始まり、15時30分に終わる。",
    ),
    "7.2": Rule(
        "空売り",
        "会員は、株式を借り入れていない限り、空売りをしてはならない。空売りの注文には、その旨を明示しなければならない。",
    ),
    "7.3": Rule(
        "記録の保存",
        "会員は、注文伝票を6年間保存しなければならない。電子的な記録は、改変できない形式で保存する。",
    ),
    "7.4": Rule(
        "苦情の処理",
        "会員は、顧客から書面による苦情を受けたときは、10営業日以内に回答する。苦情の記録は4年間保管する。",
    ),
}


def _answer(question: str, *sentences: tuple[str, str]) -> KeyedAnswer:
    return KeyedAnswer(question, tuple((text, frozenset(key.split())) for text, key in sentences))


ANSWERS: tuple[KeyedAnswer, ...] = (
    _answer(
        "How much does it cost to apply for membership?",
        ("The application fee is 2,500 dollars, and it is not refundable.", "1.1"),
    ),
    _answer(
        "How long does the decision on a membership application take?",
        ("The Membership Committee has to decide within 45 days after the application is complete.", "1.1"),
        ("In practice most applicants hear back much sooner.", ""),
    ),
    _answer(
        "With whom is an application filed?",
        ("Applicants file a written application with the Secretary.", "1.1"),
    ),
    _answer(
        "How much capital must a member have?",
        ("Members must maintain net capital of at least 500,000 dollars at all times.", "1.2"),
        ("The capital may be held in cash or in government bonds.", ""),
    ),
    _answer(
        "What happens when a member's capital is too low?",
        ("It must notify the Exchange within one business day.", "1.2"),
        ("It also has to cease accepting new customers.", "1.2"),
    ),
    _answer(
        "When does a resignation take effect?",
        ("A resignation takes effect 30 days after the Secretary receives the notice.", "1.3"),
        ("All obligations to the Clearing House must have been discharged by then.", "1.3"),
    ),
    _answer(
        "Can a member resign by telephone?",
        ("No, a member resigns by written notice to the Secretary.", "1.3"),
    ),
    _answer(
        "How many representatives can one supervisor have?",
        ("A supervisor may not be responsible for more than ten registered representatives.", "1.4"),
    ),
    _answer(
        "Must a supervisor pass a test?",
        ("Yes, the principal supervisor must have passed the Supervisor Examination.", "1.4"),
        ("The examination lasts three hours and costs 200 dollars.", ""),
    ),
    _answer(
        "When does the market open?",
        ("The regular session begins at 9:00 a.m. on each business day.", "2.1"),
        ("It ends at 3:30 p.m.", "2.1"),
    ),
    _answer(
        "When does the market close before holidays?",
        ("The Exchange may close the market early on the day before a public holiday.", "2.1"),
        ("On such days trading usually ends at 1:00 p.m.", ""),
    ),
    _answer(
        "What is the tick size?",
        ("Shares priced below 1 dollar trade in increments of 0.001 dollars.", "2.2"),
        ("All other shares are entered in increments of 0.01 dollars.", "2.2"),
    ),
    _answer(
        "What is the smallest price step for a 5 dollar share?",
        ("For such shares, orders are entered in increments of 0.05 dollars.", ""),
    ),
    _answer(
        "When is trading in a share halted?",
        ("Trading is halted for five minutes if the price moves by more than 10 percent within five minutes.", "2.3"),
        ("After a move of more than 20 percent on the same day, trading is halted until the next session.", "2.3"),
    ),
    _answer(
        "How long is a halt after a fall of 12 percent?",
        ("Such a halt lasts for fifteen minutes.", ""),
    ),
    _answer(
        "Is short selling allowed?",
        ("A member may sell a share short only if it has borrowed it or can reasonably expect to borrow it.", "2.4"),
        ("Short sales must be marked as such when they are entered.", "2.4"),
    ),
    _answer(
        "Do short sales have to be marked?",
        ("Short sales need not be marked when they are entered.", ""),
    ),
    _answer(
        "How fast must I ask for a cancellation of an erroneous trade?",
        ("You may ask for the cancellation within 30 minutes of the execution.", "2.5"),
        ("The Market Officer decides by the end of the session, and that decision is final.", "2.5"),
    ),
    _answer(
        "Can the Market Officer's decision be appealed?",
        ("The decision of the Market Officer is final.", "2.5"),
        ("Many members find this unfair.", ""),
    ),
    _answer(
        "What is a block trade?",
        ("A block trade is a trade of at least 10,000 shares that may be negotiated privately.", "2.6"),
        ("It has to be reported to the Exchange within 15 minutes.", "2.6"),
    ),
    _answer(
        "When are block trades published?",
        ("They are published at the end of the session.", "2.6"),
    ),
    _answer(
        "How often do customers get a statement?",
        ("Members send each customer a statement of account at least once every quarter.", "3.1"),
        ("It shows all positions, balances and fees.", "3.1"),
    ),
    _answer(
        "Can statements be sent by e-mail?",
        ("Statements may be delivered electronically if the customer consents.", "3.1"),
        ("The customer can withdraw this consent at any time.", ""),
    ),
    _answer(
        "What must a member know before it recommends something?",
        (
            "It needs reasonable grounds to believe that the recommendation is suitable in view of the customer's "
            "holdings, financial situation and needs.",
            "3.2",
        ),
    ),
    _answer(
        "May a broker trade in my account without asking?",
        (
            "Only if the customer has given prior written authorization and a supervisor has accepted the account.",
            "3.3",
        ),
        ("Each discretionary order is reviewed promptly by the supervisor.", "3.3"),
    ),
    _answer(
        "Who reviews discretionary orders?",
        ("The compliance department of the Exchange reviews discretionary orders every month.", ""),
    ),
    _answer(
        "How long are complaints kept?",
        ("Members keep a record of every written complaint for four years.", "3.4"),
    ),
    _answer(
        "What if a complaint alleges theft?",
        ("A complaint that alleges theft is reported to the Exchange within ten business days.", "3.4"),
        ("The police must be informed on the same day.", ""),
    ),
    _answer(
        "How large may a gift be?",
        ("Gifts to an employee of another member may not be worth more than 100 dollars a year.", "3.5"),
        ("Ordinary business entertainment does not count as a gift.", "3.5"),
    ),
    _answer(
        "May I give a gift of 300 dollars?",
        ("Gifts of up to 300 dollars a year to an employee of another member are fine.", ""),
    ),
    _answer(
        "What is the initial margin?",
        ("The initial margin is 50 percent of the value of the shares.", "3.6"),
        ("The maintenance margin is 25 percent.", "3.6"),
    ),
    _answer(
        "How long do I have to meet a margin call?",
        ("A margin call has to be met within three business days.", "3.6"),
        ("After that, the member may liquidate the position.", "3.6"),
    ),
    _answer(
        "What is the maintenance margin for bonds?",
        ("The maintenance margin for bonds is 10 percent.", ""),
    ),
    _answer(
        "How many shareholders does a listed company need?",
        ("It needs at least 400 shareholders and a market value of at least 40 million dollars.", "4.1"),
        ("The company must have been in operation for three years.", "4.1"),
    ),
    _answer(
        "Does a listed company have to be profitable?",
        ("The rules on listing speak of shareholders, market value and years of operation.", "4.1"),
        ("Profitability is checked by the underwriters instead.", ""),
    ),
    _answer(
        "When is the annual report due?",
        ("The annual report must be published within 90 days after the end of the financial year.", "4.2"),
    ),
    _answer(
        "When are interim reports due?",
        ("Interim reports are due within 45 days after the end of each quarter.", "4.2"),
        ("They have to be audited by a certified accountant.", ""),
    ),
    _answer(
        "What must a company disclose?",
        (
            "A listed company must promptly disclose information that would reasonably be expected to affect the price "
            "of its shares.",
            "4.3",
        ),
        ("It may delay disclosure where a legitimate business purpose requires confidentiality.", "4.3"),
    ),
    _answer(
        "May disclosure be delayed?",
        ("Disclosure may never be delayed.", ""),
    ),
    _answer(
        "When can a company be delisted?",
        (
            "The Exchange may delist a company if its share price stays below 1 dollar for 30 consecutive sessions.",
            "4.4",
        ),
        ("The company is heard before the decision.", "4.4"),
    ),
    _answer(
        "Does an appeal stop the delisting?",
        ("An appeal to the Board does not stay the delisting.", "4.4"),
    ),
    _answer(
        "Does an appeal stay a delisting?",
        ("An appeal to the Board stays the delisting.", ""),
    ),
    _answer(
        "Who sits on the audit committee?",
        ("The audit committee has at least three members, and all of them are independent.", "4.5"),
        ("At least one must have experience in accounting.", "4.5"),
        ("The chairman is elected by the shareholders.", ""),
    ),
    _answer(
        "How long must order tickets be kept?",
        ("Order tickets and confirmations are preserved for six years.", "5.1"),
        ("For the first two years they must be in an easily accessible place.", "5.1"),
    ),
    _answer(
        "How are electronic records kept?",
        ("Electronic records must be kept in a form that cannot be altered.", "5.1"),
    ),
    _answer(
        "How often is a member examined?",
        ("Each member is examined at least once every two years.", "5.2"),
        ("Records have to be furnished within five business days of a request.", "5.2"),
    ),
    _answer(
        "What penalties are there?",
        ("The Disciplinary Panel may censure, suspend, expel or fine a member.", "5.3"),
        ("A suspension lasts up to 12 months, and a fine is at most 250,000 dollars.", "5.3"),
    ),
    _answer(
        "When must a fine be paid?",
        ("A fine is payable within 20 days.", "5.3"),
        ("Late payment costs interest of 8 percent.", ""),
    ),
    _answer(
        "How can I appeal against a suspension?",
        ("A member may appeal to the Board within 15 days.", "5.4"),
        ("The suspension is stayed while the appeal is pending.", "5.4"),
    ),
    _answer(
        "Is an expulsion stayed by an appeal?",
        ("An expulsion is not stayed while an appeal is pending.", "5.4"),
    ),
    _answer(
        "How are disputes between members settled?",
        ("Disputes between members are settled by arbitration.", "5.5"),
        (
            "A single arbitrator decides claims of up to 50,000 dollars, and a panel of three decides larger ones.",
            "5.5",
        ),
    ),
    _answer(
        "When is a claim barred?",
        ("A claim is barred six years after the event.", "5.5"),
    ),
    _answer(
        "When do trades settle?",
        ("Trades settle on the second business day after the trade date.", "6.1"),
        ("Here is a summary of the other dates:", ""),
    ),
    _answer(
        "What if a member fails to deliver shares?",
        ("It has to buy the shares in on the fourth business day after the settlement date.", "6.1"),
        ("The cost is borne by the guarantee fund.", ""),
    ),
    _answer(
        "What is the guarantee fund used for?",
        ("The fund may only be used to cover losses from the default of a clearing member.", "6.2"),
        ("Each clearing member contributes at least 1 million dollars.", "6.2"),
    ),
    _answer(
        "午後の取引は何時に始まりますか。",
        ("午後の取引は12時30分に始まります。", "7.1"),
        ("終了は15時30分です。", "7.1"),
    ),
    _answer(
        "空売りはできますか。",
        ("株式を借り入れていない限り、会員は空売りをしてはなりません。", "7.2"),
        ("空売りの注文には、その旨を明示しなければなりません。", "7.2"),
    ),
    _answer(
        "注文伝票は何年間保存しますか。",
        ("注文伝票は6年間保存しなければなりません。", "7.3"),
        ("保存場所は東京に限られます。", ""),
    ),
    _answer(
        "注文伝票の保存期間は。",
        ("注文伝票は10年間保存します。", ""),
    ),
    _answer(
        "苦情にはいつまでに回答しますか。",
        ("書面による苦情には10営業日以内に回答します。", "7.4"),
        ("苦情の記録は4年間保管します。", "7.4"),
    ),
)

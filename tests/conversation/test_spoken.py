"""What is written, and how it is said: the tables, and what holds for every text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon_daemon.conversation.clauses import ClauseCutter, Ending
from antiphon_daemon.conversation.spoken import spoken

ENGLISH = [
    ("It is 25°C at 3:30 p.m.", "It is twenty-five degrees Celsius at three thirty P.M."),
    ("It is **bold** and _plain_ and ~~gone~~.", "It is bold and plain and gone."),
    ("*One* word, ***three*** stars.", "One word, three stars."),
    ("snake_case stays two words", "snake case stays two words"),
    ("Run `antiphon doctor` now.", "Run antiphon doctor now."),
    ("See [the page](https://example.org/x) for more.", "See the page for more."),
    ('See [the page](https://example.org/a_(b) "Title") for more.', "See the page for more."),
    ("![A cat](cat.png) sleeps.", "A cat sleeps."),
    ("Look at https://www.example.org/a?b=c.", "Look at example dot org."),
    ("Go to example.com or docs.example.org/help.", "Go to example dot com or docs dot example dot org"),
    ("Mail joe.b@example.com today.", "Mail joe dot b at example dot com today."),
    ("Press <b>Start</b> &amp; wait<br>a bit.", "Press Start and wait. a bit."),
    ("Fish &lt;3 chips", "Fish is less than three chips"),
    ("<https://example.org> is it.", "example dot org is it."),
    ("# Heading", "Heading"),
    ("## Heading ##", "Heading"),
    ("- one", "one"),
    ("* two", "two"),
    ("+ three", "three"),
    ("> a quote", "a quote"),
    ("1. Preheat the oven.", "one, Preheat the oven."),
    ("2) Wait.", "two, Wait."),
    ("- [x] done", "done"),
    ("- [ ] open", "open"),
    ("***", ""),
    ("---", ""),
    ("| Name | Age |", "Name, Age"),
    ("Sunny ☀️ today 😀👍🏽", "Sunny today"),
    ("Thanks 👨‍👩‍👧 bye", "Thanks bye"),
    ("Dr. Smith met Mr. Jones and Mrs. Lee.", "Doctor Smith met Mister Jones and Missus Lee."),
    ("Prof. Brown lives at 5 Main St. in St. Louis.", "Professor Brown lives at five Main Street in Saint Louis."),
    ("He lives on Elm Dr., near Oak Ave., up Mt. Fuji.", "He lives on Elm Drive, near Oak Avenue, up Mount Fuji."),
    ("Fruit, e.g. apples, i.e. food, etc.", "Fruit, for example apples, that is food, et cetera."),
    ("Apples, pears, etc. The end.", "Apples, pears, et cetera. The end."),
    ("Cats vs. dogs, approx. 5 of them.", "Cats versus dogs, approximately five of them."),
    ("See No. 5 and Fig. 3 on p. 12.", "See number five and figure three on page twelve."),
    ("Acme Inc. is here. Acme Inc. Next.", "Acme Incorporated is here. Acme Incorporated. Next."),
    ("The FAQ of the WHO, and WWII.", "The F.A.Q. of the W.H.O. and World War Two."),
    ("The USB port of my TV uses AI.", "The USB port of my TV uses AI."),
    ("I have 3 cats and 21 dogs.", "I have three cats and twenty-one dogs."),
    ("1 apple, 2 apples", "one apple, two apples"),
    ("100 and 1,000 and 12,345", "one hundred and one thousand and twelve thousand three hundred and forty-five"),
    ("1,234,567 people", "one million two hundred and thirty-four thousand five hundred and sixty-seven people"),
    ("0.5 and 3.14 and 10.05", "zero point five and three point one four and ten point zero five"),
    (".5 or less", "zero point five or less"),
    ("-5 and −3", "minus five and minus three"),
    ("It fell to -12.5 today.", "It fell to minus twelve point five today."),
    ("007 is back", "zero zero seven is back"),
    (
        "12345678901234567890",
        "one two three four five six seven eight nine zero one two three four five six seven eight nine zero",
    ),
    ("1st, 2nd, 3rd, 4th, 21st and 103rd", "first, second, third, fourth, twenty-first and one hundred and third"),
    ("the 1,000th visitor", "the one thousandth visitor"),
    ("It is 3:30.", "It is three thirty."),
    ("It is 12:05.", "It is twelve oh five."),
    ("It is 3:00 p.m. now", "It is three P.M. now"),
    ("It is 9 a.m. or 5 PM.", "It is nine A.M. or five P.M."),
    ("from 9:00-17:00", "from nine o'clock to seventeen hundred"),
    ("At 0:30 and 15:00", "At zero thirty and fifteen hundred"),
    ("12:00 is noon", "twelve o'clock is noon"),
    ("3:15pm", "three fifteen P.M."),
    ("It took 1:23:45.", "It took one hour twenty-three minutes forty-five seconds."),
    ("16:9 and 4:3", "sixteen to nine and four to three"),
    ("On 2026-11-24 we met.", "On November twenty-fourth, twenty twenty-six we met."),
    ("On 11/24/2026 we met.", "On November twenty-fourth, twenty twenty-six we met."),
    ("On 24/11/2026 we met.", "On November twenty-fourth, twenty twenty-six we met."),
    ("On Nov. 24, 2026, we met.", "On November twenty-fourth, twenty twenty-six, we met."),
    ("On November 24 we met.", "On November twenty-fourth we met."),
    ("On November 24th, 2026 we met.", "On November twenty-fourth, twenty twenty-six we met."),
    ("24 November 2026", "the twenty-fourth of November twenty twenty-six"),
    ("the 4th of July", "the fourth of July"),
    ("July 4, 1776", "July fourth, seventeen seventy-six"),
    ("May 5 and Mar 3", "May fifth and March third"),
    ("in May 2024", "in May twenty twenty-four"),
    ("Mon, Nov 24", "Monday, November twenty-fourth"),
    ("in 1905, 1999 and 2005", "in nineteen oh five, nineteen ninety-nine and two thousand five"),
    ("in 2000 and 2010", "in two thousand and twenty ten"),
    ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
    ("the 80s", "the eighties"),
    ("since 1066", "since one thousand and sixty-six"),
    ("It costs $5.", "It costs five dollars."),
    ("It costs $1.", "It costs one dollar."),
    ("It costs $3.50.", "It costs three dollars and fifty cents."),
    ("It costs $0.99.", "It costs ninety-nine cents."),
    ("€20 or £2.50 or ¥1,000", "twenty euros or two pounds and fifty pence or one thousand yen"),
    ("₩50,000", "fifty thousand won"),
    ("$1.2 million", "one point two million dollars"),
    ("$5M and $3B", "five million dollars and three billion dollars"),
    ("$5-10", "five to ten dollars"),
    ("-$5", "minus five dollars"),
    ("20 USD or EUR 5", "twenty dollars or five euros"),
    ("50¢", "fifty cents"),
    ("50% and 3.5%", "fifty percent and three point five percent"),
    ("10-20%", "ten to twenty percent"),
    ("10 km", "ten kilometers"),
    ("1 km", "one kilometer"),
    ("5 km/h and 60 mph", "five kilometers per hour and sixty miles per hour"),
    ("100 m² and 20 m³", "one hundred square meters and twenty cubic meters"),
    ("5 kg, 3 lbs, 2 oz", "five kilograms, three pounds, two ounces"),
    ("a 5-kg bag", "a five kilogram bag"),
    ("250 ml of milk", "two hundred and fifty milliliters of milk"),
    ("72°F", "seventy-two degrees Fahrenheit"),
    ("-5°C", "minus five degrees Celsius"),
    ("a 90° turn", "a ninety degrees turn"),
    ("5 GB at 100 Mbps", "five gigabytes at one hundred megabits per second"),
    ("2.4 GHz", "two point four gigahertz"),
    ("3 hrs 20 mins", "three hours twenty minutes"),
    ("30 min", "thirty minutes"),
    ("5 ft 10 in. tall", "five feet ten inches tall"),
    ("5'10\" tall", "five foot ten tall"),
    ("220 V and 60 W", "two hundred and twenty volts and sixty watts"),
    ("15 dB", "fifteen decibels"),
    ("$3/day", "three dollars per day"),
    ("10 m/s", "ten meters per second"),
    ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
    ("Call (555) 123-4567.", "Call five five five, one two three, four five six seven."),
    ("Call 555-1234.", "Call five five five, one two three four."),
    ("+1 555-123-4567", "one, five five five, one two three, four five six seven"),
    ("Dial 911.", "Dial nine one one."),
    ("10-20 people", "ten to twenty people"),
    ("3–5 days", "three to five days"),
    ("pages 10–12", "pages ten to twelve"),
    ("2019–2023", "twenty nineteen to twenty twenty-three"),
    ("from 1 - 3", "from one to three"),
    ("1/2 cup", "one half cup"),
    ("3/4 cups", "three quarters cups"),
    ("2/3 of it", "two thirds of it"),
    ("1 1/2 cups", "one and a half cups"),
    ("½ cup and 2½ hours", "one half cup and two and a half hours"),
    ("5/23", "five over twenty-three"),
    ("24/7", "twenty-four seven"),
    ("Chapter IV", "Chapter four"),
    ("World War II", "World War two"),
    ("Henry VIII and Louis XIV", "Henry the eighth and Louis the fourteenth"),
    ("Queen Elizabeth II", "Queen Elizabeth the second"),
    ("Act III, Scene II", "Act three, Scene two"),
    ("I am here", "I am here"),
    ("2 + 3 = 5", "two plus three equals five"),
    ("10 - 3 = 7", "ten minus three equals seven"),
    ("1 cup = 240 ml", "one cup equals two hundred and forty milliliters"),
    ("$5 + $3 = $8", "five dollars plus three dollars equals eight dollars"),
    ("a + b = c", "a plus b equals c"),
    ("Open Settings > Sound > Output.", "Open Settings Sound Output."),
    ("if x > y", "if x is greater than y"),
    ("Only <1% of it", "Only less than one percent of it"),
    ("9.8 m/s²", "nine point eight meters per second squared"),
    ("5 * 3 and 6 × 7", "five times three and six times seven"),
    ("8 ÷ 2", "eight divided by two"),
    ("10 < 20", "ten is less than twenty"),
    ("x ≈ 5", "x is about five"),
    ("±5", "plus or minus five"),
    ("x² + y²", "x squared plus y squared"),
    ("10x faster", "ten times faster"),
    ("Version 3.11.2", "Version three point eleven point two"),
    ("B12 and MP3 and H2O", "B twelve and MP three and H two O"),
    ("4K video", "four K video"),
    ("#1 choice", "number one choice"),
    ("salt & pepper", "salt and pepper"),
    ("and/or", "and or"),
    ("his/her", "his or her"),
    ("C# and C++", "C sharp and C plus plus"),
    ("Q&A", "Q and A"),
    ("TCP/IP", "TCP IP"),
    ("a well-known co-op", "a well-known co-op"),
    ("“Quoted 5 times.”", "“Quoted five times.”"),
    ("Yes — really.", "Yes — really."),
    ("Wait… what?", "Wait… what?"),
    ("Footnote[^1] here", "Footnote here"),
    ("[ref]: https://example.org", ""),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b. one, two"),
    ("# Title\n- one\n- two", "Title. one. two"),
    ("First line\nSecond line!", "First line. Second line!"),
    ("```\nx = 1\n```", "Here comes some code."),
    ("Before\n```python\nx = 1\n```\nafter", "Before. Here comes some code. after"),
]

KOREAN = [
    ("지금은 3시 30분이에요.", "지금은 세 시 삼십 분이에요."),
    ("오전 9시, 오후 12시, 17시", "오전 아홉 시, 오후 열두 시, 십칠 시"),
    ("15:30에 만나요.", "십오 시 삼십 분에 만나요."),
    ("오후 3:30에 시작해요.", "오후 세 시 삼십 분에 시작해요."),
    ("3:00부터", "세 시부터"),
    ("9:00~17:00", "아홉 시에서 십칠 시"),
    ("12:05:30", "열두 시 오 분 삼십 초"),
    ("0:30", "영 시 삼십 분"),
    ("3시간 20분", "세 시간 이십 분"),
    ("5분 10초", "오 분 십 초"),
    ("2026년 11월 24일", "이천이십육년 십일월 이십사일"),
    ("6월 6일과 10월 10일", "유월 육일과 시월 십일"),
    ("2026-11-24에", "이천이십육년 십일월 이십사일에"),
    ("2026.11.24.", "이천이십육년 십일월 이십사일"),
    ("2026/11/24(화)", "이천이십육년 십일월 이십사일 화요일"),
    ("11/24(화)에", "십일월 이십사일 화요일에"),
    ("12월 25일은", "십이월 이십오일은"),
    ("1990년대", "천구백구십년대"),
    ("2주일, 3주, 3개월", "이 주일, 삼 주, 삼 개월"),
    ("1년 6개월", "일년 육 개월"),
    ("7일간", "칠일간"),
    ("10분 뒤에", "십 분 뒤에"),
    ("1시간 30분 동안", "한 시간 삼십 분 동안"),
    ("사과 3개", "사과 세 개"),
    ("1개, 2개, 20개, 21개", "한 개, 두 개, 스무 개, 스물한 개"),
    ("고양이 2마리", "고양이 두 마리"),
    ("책 10권", "책 열 권"),
    ("20살이에요.", "스무 살이에요."),
    ("35명", "서른다섯 명"),
    ("100명", "백 명"),
    ("103개", "백삼 개"),
    ("1,000명", "천 명"),
    ("커피 2잔", "커피 두 잔"),
    ("맥주 3병", "맥주 세 병"),
    ("차 5대", "차 다섯 대"),
    ("20대 여성", "이십 대 여성"),
    ("10대와 30대", "십 대와 삼십 대"),
    ("나무 1그루", "나무 한 그루"),
    ("양말 4켤레", "양말 네 켤레"),
    ("3번째", "세 번째"),
    ("1번째", "첫 번째"),
    ("20번째", "스무 번째"),
    ("3번 말했어요.", "세 번 말했어요."),
    ("3번 출구", "삼 번 출구"),
    ("5번 버스", "오 번 버스"),
    ("제3회", "제삼 회"),
    ("제2차 세계대전", "제이 차 세계대전"),
    ("2층 201호", "이 층 이백일 호"),
    ("3호선", "삼 호선"),
    ("1학년 2반", "일 학년 이 반"),
    ("5인분", "오 인분"),
    ("4인 가족", "사 인 가족"),
    ("12세 이상", "십이 세 이상"),
    ("3살 아이가", "세 살 아이가"),
    ("1등과 2위", "일 등과 이 위"),
    ("30쪽", "삼십 쪽"),
    ("3페이지", "삼 페이지"),
    ("2배, 2.5배", "두 배, 이 점 오 배"),
    ("한 번 더", "한 번 더"),
    ("1,200원", "천이백 원"),
    ("1,200원을", "천이백 원을"),
    ("₩1,200은", "천이백 원은"),
    ("3만 5천 원", "삼만 오천 원"),
    ("1만 원", "만 원"),
    ("1억 2천만 원", "일억 이천만 원"),
    ("1.5억 원", "일 점 오 억 원"),
    ("100만 명", "백만 명"),
    ("5천 원", "오천 원"),
    ("$5", "오 달러"),
    ("$3.50", "삼 달러 오십 센트"),
    ("€20", "이십 유로"),
    ("¥1000", "천 엔"),
    ("$1.2M", "백이십만 달러"),
    ("20 USD", "이십 달러"),
    ("100달러", "백 달러"),
    ("3.5%", "삼 점 오 퍼센트"),
    ("50%가", "오십 퍼센트가"),
    ("10~20%", "십 퍼센트에서 이십 퍼센트"),
    ("25°C", "섭씨 이십오 도"),
    ("25℃예요.", "섭씨 이십오 도예요."),
    ("-5°C", "영하 오 도"),
    ("-5도", "영하 오 도"),
    ("영하 10도", "영하 십 도"),
    ("77°F", "화씨 칠십칠 도"),
    ("90° 각도", "구십 도 각도"),
    ("10km", "십 킬로미터"),
    ("10km를", "십 킬로미터를"),
    ("60km/h로", "시속 육십 킬로미터로"),
    ("5m/s", "초속 오 미터"),
    ("5 kg과 3 L를", "오 킬로그램과 삼 리터를"),
    ("250ml", "이백오십 밀리리터"),
    ("100m²", "백 제곱미터"),
    ("5GB", "오 기가바이트"),
    ("100Mbps", "백 메가비피에스"),
    ("2.4GHz", "이 점 사 기가헤르츠"),
    ("220V", "이백이십 볼트"),
    ("60W", "육십 와트"),
    ("30cm", "삼십 센티미터"),
    ("500g", "오백 그램"),
    ("1,500kcal", "천오백 킬로칼로리"),
    ("2kWh", "이 킬로와트시"),
    ("010-1234-5678", "공일공, 일이삼사, 오육칠팔"),
    ("010-1234-5678로 전화하세요.", "공일공, 일이삼사, 오육칠팔로 전화하세요."),
    ("02-123-4567", "공이, 일이삼, 사오육칠"),
    ("1588-1234", "일오팔팔, 일이삼사"),
    ("119에 신고하세요.", "일일구에 신고하세요."),
    ("112로", "일일이로"),
    ("3~5개", "세 개에서 다섯 개"),
    ("3~5시", "세 시에서 다섯 시"),
    ("오후 2시~4시", "오후 두 시에서 네 시"),
    ("2~3일", "이일에서 삼일"),
    ("5,000~6,000원", "오천 원에서 육천 원"),
    ("약 3~4km", "약 삼 킬로미터에서 사 킬로미터"),
    ("3-5명", "세 명에서 다섯 명"),
    ("2020~2023년", "이천이십년에서 이천이십삼년"),
    ("1/2", "이분의 일"),
    ("3/4 컵", "사분의 삼 컵"),
    ("3분의 1", "삼분의 일"),
    ("½컵", "이분의 일컵"),
    ("2 1/2", "이와 이분의 일"),
    ("16:9", "십육 대 구"),
    ("3+4=7", "삼 더하기 사는 칠"),
    ("10 - 3 = 7", "십 빼기 삼은 칠"),
    ("5 × 3", "오 곱하기 삼"),
    ("6÷2", "육 나누기 이"),
    ("2x3", "이 곱하기 삼"),
    ("5 < 10", "오는 십보다 작다"),
    ("버전 3.11.2", "버전 삼 점 십일 점 이"),
    ("0.5초", "영 점 오 초"),
    ("3.14", "삼 점 일사"),
    ("12,345", "만 이천삼백사십오"),
    ("0", "영"),
    ("-10", "마이너스 십"),
    ("007", "공공칠"),
    ("123456789", "일억 이천삼백사십오만 육천칠백팔십구"),
    ("AI", "에이아이"),
    ("AI는 똑똑해요.", "에이아이는 똑똑해요."),
    ("AI은", "에이아이는"),
    ("AI가", "에이아이가"),
    ("GPT를", "지피티를"),
    ("GPT이", "지피티가"),
    ("LED를", "엘이디를"),
    ("TV를", "티브이를"),
    ("NASA은", "나사는"),
    ("WiFi을", "와이파이를"),
    ("R&D", "알앤디"),
    ("A/S 센터", "에이에스 센터"),
    ("CPU와 GPU과", "시피유와 지피유와"),
    ("USB로", "유에스비로"),
    ("SSD으로", "에스에스디로"),
    ("RAM을", "램을"),
    ("IoT 기기", "아이오티 기기"),
    ("KBS와 MBC", "케이비에스와 엠비시"),
    ("3D 영화", "쓰리디 영화"),
    ("5G", "파이브지"),
    ("B2", "비 이"),
    ("iPhone과 YouTube", "아이폰과 유튜브"),
    ("OK", "오케이"),
    ("사과을(를)", "사과를"),
    ("책은(는)", "책은"),
    ("이것이(가)", "이것이"),
    ("서울(으)로", "서울로"),
    ("부산(으)로", "부산으로"),
    ("집(으)로", "집으로"),
    ("**굵게**를 말해요.", "굵게를 말해요."),
    ("**AI**는", "에이아이는"),
    ("*기울임*은", "기울임은"),
    ("`코드`를", "코드를"),
    ("# 제목", "제목"),
    ("- 하나", "하나"),
    ("1. 우유", "첫 번째, 우유"),
    ("2. 빵", "두 번째, 빵"),
    ("> 인용", "인용"),
    ("[여기](https://example.com)를 누르세요.", "여기를 누르세요."),
    ("https://example.com/a", "링크"),
    ("joe@example.com으로", "joe 골뱅이 example 닷컴으로"),
    ("안녕~ 반가워요 😀", "안녕 반가워요"),
    ("좋아요!! ★", "좋아요!!"),
    ("서울·부산", "서울, 부산"),
    ("5·18 민주화운동", "오일팔 민주화운동"),
    ("3·1절", "삼일절"),
    ("6·25", "육이오"),
    ("&quot;안녕&quot;", '"안녕"'),
    ("<b>굵게</b>", "굵게"),
    ("오늘은 11월 24일(화)입니다.", "오늘은 십일월 이십사일 화요일입니다."),
    ("기온은 25°C이고 습도는 60%예요.", "기온은 섭씨 이십오 도고 습도는 육십 퍼센트예요."),
    ("# 제목\n- 하나\n- 둘", "제목. 하나. 둘"),
    ("| 이름 | 나이 |\n|---|---|\n| 철수 | 5살 |", "이름, 나이. 철수, 다섯 살"),
    ("코드:\n```\nx\n```", "코드: 여기에 코드가 있어요."),
]


@pytest.mark.parametrize(("written", "said"), ENGLISH, ids=[written for written, _ in ENGLISH])
def test_english(written: str, said: str) -> None:
    assert spoken(written, "en").text == said
    assert spoken(said, "en").text == said, "what is said is said as it is"


@pytest.mark.parametrize(("written", "said"), KOREAN, ids=[written for written, _ in KOREAN])
def test_korean(written: str, said: str) -> None:
    assert spoken(written, "ko").text == said
    assert spoken(said, "ko").text == said, "what is said is said as it is"


@pytest.mark.parametrize(
    ("written", "language", "said"),
    [
        ("**Fett** am 24.12. um 8 Uhr", "de", "Fett am 24.12. um 8 Uhr"),
        ("東京は**大きい**です。", "ja", "東京は大きいです。"),
        ("サイト https://example.com です", "ja", "サイト です"),
        ("- 第一\n- 第二", "zh", "第一. 第二"),
        ("오늘 3개", "en", "오늘 세 개"),
        ("The capital of France is 2 km away.", "ko", "The capital of France is two kilometers away."),
        ("It is 5.", None, "It is five."),
        ("It is 5.", "en-GB", "It is five."),
    ],
)
def test_other_languages_keep_their_numbers_and_letters_tell_the_language(
    written: str, language: str | None, said: str
) -> None:
    assert spoken(written, language).text == said


@pytest.mark.parametrize("text", ["", " ", "***", "…", "```", "😀", "---", "[]()", "<br>", "&nbsp;", "\x00\x07", "?!"])
def test_nothing_that_can_be_said_is_nothing(text: str) -> None:
    for language in ("en", "ko", "ja"):
        assert spoken(text, language).text == ""


# What was heard, in the words that were written.


@pytest.mark.parametrize(
    ("written", "language", "said", "heard"),
    [
        ("It costs **$3.50** today.", "en", "It costs", "It costs"),
        ("It costs **$3.50** today.", "en", "It costs three dollars", "It costs"),
        ("It costs **$3.50** today.", "en", "It costs three dollars and fifty cents ", "It costs **$3.50**"),
        ("사과 3개를 샀어요.", "ko", "사과 세", "사과"),
        ("사과 3개를 샀어요.", "ko", "사과 세 개를 ", "사과 3개를"),
        ("- one\n- two\n- three", "en", "one. two. ", "- one\n- two"),
        ("See [the page](https://example.org) now.", "en", "See the page ", "See [the page](https://example.org)"),
        ("Sunny 😀 today", "en", "Sunny ", "Sunny 😀"),
        ("one two three", "en", "one tw", "one"),
    ],
)
def test_what_was_heard_is_told_to_the_word_that_was_written(
    written: str, language: str, said: str, heard: str
) -> None:
    form = spoken(written, language)
    assert form.text.startswith(said)
    assert form.heard(len(said) / len(form.text)) == heard
    assert form.heard(1) == written
    assert form.heard(0) == ""


# What holds for every text.

MARKS = st.text(alphabet="ab1 ,.:;!?\n*_`~#-|[]()<>&$%°/\\'\"+=@^{}\t가나3개시은를、。あ中½²😀", max_size=120)
HOSTILE = st.one_of(MARKS, st.text(max_size=80))


@given(HOSTILE, st.sampled_from(["en", "ko", "de", "ja", None]))
def test_nothing_breaks_and_what_is_said_has_no_markup(text: str, language: str | None) -> None:
    form = spoken(text, language)
    assert len(form.ends) == len(form.text)
    assert all(earlier <= later for earlier, later in zip(form.ends, form.ends[1:], strict=False))
    assert not set("*`~|<>{}[]_\\") & set(form.text)
    if language in ("en", "ko"):
        assert not any(character.isdecimal() for character in form.text)
        assert spoken(form.text, language).text == form.text


@given(HOSTILE, st.floats(0, 1))
def test_what_was_heard_begins_what_was_written(text: str, share: float) -> None:
    form = spoken(text, "en")
    assert form.written.startswith(form.heard(share))


WORDS = [
    "Sure",
    "the",
    "light",
    "3",
    "apples",
    "$5",
    "on",
    "Monday",
    "at",
    "3:30",
    "is",
    "10",
    "km",
    "5%",
    "**really**",
    "and",
    "because",
    "cold",
    "`x`",
    "No.",
    "7",
    "e.g.",
    "it",
]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(lambda words: " ".join(words) + ".")


@given(st.lists(SENTENCES, min_size=1, max_size=4).map(" ".join))
def test_parts_say_what_the_whole_says(text: str) -> None:
    """The words are the same; at a cut a number may be read apart from what it is not joined to."""
    cutter = ClauseCutter("en")
    parts = [part for word in text.split(" ") for part in cutter.feed(word + " ")]
    rest = cutter.rest()
    assert rest is None or rest.ending is Ending.SENTENCE
    said = " ".join(spoken(part.text, "en").text for part in ([*parts, rest] if rest else parts))
    assert plain(said) == plain(spoken(text, "en").text)


def plain(text: str) -> list[str]:
    return "".join(character if character.isalnum() else " " for character in text.lower()).split()


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "1,",
        "1 ",
        "**",
        "`",
        "[",
        "](",
        "<a",
        "&amp;",
        "1/",
        "1-",
        "$1",
        "- ",
        "# ",
        "| ",
        "> ",
        "```\n",
        "가",
        "3개 ",
        "3~",
        " ",
        "\n",
        "-",
        ".",
        "a.",
        "a@",
        "http://",
        "(",
        "1:",
        "A",
        "을(를)",
        "°",
        "😀",
        "I",
        "Mr. ",
        "\t",
        "1.",
        "_a",
        "~~",
    ],
)
def test_a_long_text_takes_time_in_proportion(unit: str) -> None:
    """A text of 20 000 characters is said within the time limit of a test, where time that grows by squares is not."""
    text = unit * (20_000 // len(unit))
    for language in ("en", "ko"):
        spoken(text, language)


def test_a_korean_word_in_an_english_sentence_does_not_make_it_korean() -> None:
    said = spoken("The Korean word for apple is 사과, and it costs $5.", "en").text
    assert said == "The Korean word for apple is 사과, and it costs five dollars."
    assert spoken("사과 3개", "en").text == "사과 세 개"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Bake for 30 min.", "Bake for thirty minutes."),
        ("Simmer 10 min. and stir.", "Simmer ten minutes and stir."),
        ("min. 5 people", "minimum five people"),
        ("It takes 1h 30m.", "It takes one hour thirty minutes."),
        ("10 x 5 = 50", "ten times five equals fifty"),
        ("0x10", "zero x ten"),
        ("a 2x4", "a two by four"),
        ("Open Mon-Fri, 9am-5pm.", "Open Monday to Friday, nine A.M. to five P.M."),
        ("from 3-5 p.m. today", "from three to five P.M. today"),
        ("CO₂ levels", "CO two levels"),
    ],
)
def test_lengths_of_time_and_opening_hours_are_read_as_such(written: str, said: str) -> None:
    assert spoken(written, "en").text == said

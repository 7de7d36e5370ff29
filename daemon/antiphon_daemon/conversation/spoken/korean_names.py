"""What Koreans call names and words that are written in Latin letters."""

from __future__ import annotations


def table(text: str) -> dict[str, str]:
    """Return what is said for what is written, from `written:said` pairs; `_` stands for a space in either."""
    pairs = (pair.replace("_", " ").split(":") for pair in text.split())
    return {pair[0]: pair[1] for pair in pairs}


NAMES = table(
    "NASA:나사 NATO:나토 UNESCO:유네스코 UNICEF:유니세프 FIFA:피파 OPEC:오펙 APEC:에이펙 ASEAN:아세안 AIDS:에이즈 "
    "COVID:코비드 LAN:랜 RAM:램 ROM:롬 PIN:핀 SIM:심 eSIM:이심 SARS:사스 MERS:메르스 OK:오케이 ok:오케이 PC:피시 "
    "CD:시디 Mr.:미스터 Dr.:닥터 Ms.:미즈 vs:대 vs.:대 VS:대 etc.:등 No.:번호 IoT:아이오티 iOS:아이오에스 "
    "macOS:맥오에스 iPhone:아이폰 iPad:아이패드 iMac:아이맥 iCloud:아이클라우드 MacBook:맥북 AirPods:에어팟 "
    "JSON:제이슨 GIF:지프 JPEG:제이펙 JPG:제이피지 SQL:에스큐엘 kWh:킬로와트시 ChatGPT:챗지피티 "
    "OpenAI:오픈에이아이 YouTube:유튜브 GitHub:깃허브 JavaScript:자바스크립트 WhatsApp:왓츠앱 "
    "PlayStation:플레이스테이션 D-day:디데이 D-Day:디데이 X-ray:엑스레이 K-pop:케이팝 K-POP:케이팝 e-book:이북 "
    "e-mail:이메일 Ph.D.:박사 Home_Assistant:홈_어시스턴트"
)
"""As they are written, letter for letter."""

WORDS = table(
    "wifi:와이파이 wi-fi:와이파이 bluetooth:블루투스 android:안드로이드 google:구글 apple:애플 netflix:넷플릭스 "
    "amazon:아마존 facebook:페이스북 instagram:인스타그램 twitter:트위터 windows:윈도우 linux:리눅스 mac:맥 "
    "python:파이썬 java:자바 antiphon:안티폰 samsung:삼성 hyundai:현대 naver:네이버 kakao:카카오 "
    "kakaotalk:카카오톡 daum:다음 gmail:지메일 coupang:쿠팡 spotify:스포티파이 siri:시리 alexa:알렉사 "
    "youtube:유튜브 microsoft:마이크로소프트 sony:소니 tesla:테슬라 intel:인텔 nvidia:엔비디아 starbucks:스타벅스 "
    "zoom:줌 excel:엑셀 word:워드 chrome:크롬 safari:사파리 wikipedia:위키백과 tv:티브이 ai:에이아이 pc:피시 "
    "led:엘이디 usb:유에스비 email:이메일 mail:메일 app:앱 apps:앱 web:웹 site:사이트 website:웹사이트 "
    "internet:인터넷 online:온라인 offline:오프라인 smart:스마트 home:홈 mode:모드 menu:메뉴 update:업데이트 "
    "download:다운로드 upload:업로드 login:로그인 logout:로그아웃 password:비밀번호 file:파일 folder:폴더 "
    "server:서버 cloud:클라우드 data:데이터 code:코드 program:프로그램 computer:컴퓨터 laptop:노트북 phone:폰 "
    "smartphone:스마트폰 tablet:태블릿 camera:카메라 monitor:모니터 mouse:마우스 keyboard:키보드 printer:프린터 "
    "speaker:스피커 mic:마이크 sensor:센서 switch:스위치 timer:타이머 alarm:알람 radio:라디오 music:뮤직 "
    "playlist:플레이리스트 volume:볼륨 news:뉴스 video:비디오 game:게임 test:테스트 team:팀 project:프로젝트 "
    "meeting:미팅 event:이벤트 ticket:티켓 hotel:호텔 bus:버스 taxi:택시 coffee:커피 pizza:피자 chicken:치킨 "
    "cafe:카페 party:파티 happy:해피 hello:헬로 bye:바이 yes:예스 no:노 good:굿 best:베스트 new:뉴 top:톱 "
    "start:스타트 stop:스톱 on:온 off:오프 version:버전 beta:베타 pro:프로 max:맥스 mini:미니 plus:플러스"
)
"""Words and brands, in whatever case."""

WITH_DIGITS = table(
    "2D:투디 3D:쓰리디 4D:포디 3G:쓰리지 4G:포지 5G:파이브지 6G:식스지 4K:포케이 8K:에이트케이 A3:에이쓰리 "
    "A4:에이포 A5:에이파이브 B4:비포 B5:비파이브 MP3:엠피쓰리 MP4:엠피포 B2B:비투비 B2C:비투시 P2P:피투피 "
    "H2O:에이치투오 CO2:시오투 G7:지세븐 G20:지이십 F1:에프원 GPT-4:지피티_포 GPT-4o:지피티_포오 "
    "GPT-5:지피티_파이브 Y2K:와이투케이 COVID-19:코로나_일구 코로나19:코로나_일구"
)
"""Of letters and digits; these are mostly read in English."""

ENDINGS = {
    "com": "닷컴", "net": "닷넷", "org": "닷오알지", "co 점 kr": "점 시오 점 케이알", "go 점 kr": "점 지오 점 케이알",
    "or 점 kr": "점 오알 점 케이알", "ac 점 kr": "점 에이시 점 케이알", "kr": "점 케이알", "io": "점 아이오",
    "ai": "점 에이아이", "app": "점 앱", "dev": "점 데브", "me": "점 미", "tv": "점 티브이", "jp": "점 제이피",
}  # fmt: skip
"""The last part of an address, after its dot."""

//! The words by which text that is written for a reviewer is known, in folded form (see [`super::fold`]).
//!
//! Each is a part of a regular expression. They are lists, so what they do not name is not found: docs/explanation/reviews.md says
//! what that leaves.

/// What a score is called where it stands before its number.
pub(super) const SCORE: &str = r"s ?c ?[o0] ?r ?e ?s?|final mark|ratings?|grade|my mark|verdict|criteria met|punktzahl|gesamtpunktzahl|bewertung|wertung|punkte|puntuacion|puntaje|calificacion|puntos|nota|valutazione|punteggio|voto|pontuacao|avaliacao|cijfer|beoordeling|ocena|punkty|betyg|poang|karakter|pistemaara|puan|pontszam|skor|skore|nilai|diem|diem so|scor|оценка|оценку|балл|баллы|баллов|оцінка|бал|βαθμος|βαθμολογια|ציון|ניקוד|نتيجة|النتيجة|تقييم|التقييم|درجة|الدرجة|امتیاز|نمره|स्कोर|अंक|স্কোর|নম্বর|மதிப்பெண்|స్కోరు|คะแนน|评分|評分|得分|分数|分數|打分|スコア|点数|評価|评价|採点|점수|평점";

/// What may stand between the name of a score and its number besides spaces: `score 10` alone is said of matches too.
pub(super) const BETWEEN: &str = r"[^\w\s]|_|is|are|was|of|for|this|the|my|response|answer|final|total|given|here|points|ist|lautet|est|es|e|de|von|это|は|が|是|为|為|는|은";

/// A score in words, or a number.
pub(super) const NUMBER: &str = r"\d|ten\b|zero\b|zehn\b|null\b|dix\b|diez\b|dieci\b|dez\b|tien\b|nul\b|десять|ноль|нуль|sepuluh\b|nol\b|عشرة|صفر|दस|शून्य|十|零|満点|满分|만점|n\b|x\b|max\b|maximum\b|full\b|perfect\b|highest\b|lowest\b|excellent\b|a\+|f-";

/// The best and the worst score as a number or in words.
pub(super) const EXTREME: &str =
    r"\b10|\b0|ten|zero|zehn|dix|diez|dieci|dez|tien|десять|ноль|عشرة|صفر|दस|十|零";

/// What a point is called after its number.
pub(super) const POINTS: &str = r"points?\b|marks?\b|stars?\b|punkte?n?\b|puntos?\b|punti\b|pontos?\b|баллов\b|балла?\b|балів\b|分(?:[^钟鐘之間间]|$)|点(?:[^钟鐘]|$)|점|نقاط|نقطة|امتیاز|अंक|punten\b|punktow\b|puan\b|poin\b|diem\b|คะแนน|poang\b";

/// `N out of 10` between the two numbers.
pub(super) const OUT_OF: &str = r"/|out of|of|von|sur|de|su|iz|из|z|uit|av|dari|tren|over|من|में से|／|分の|\\";

/// A token of a chat template, as models of many families have them.
pub(super) const CHAT_TOKEN: &str = r"<\s?\|[^|<>\n]{1,40}\|\s?>|</?s>|<[be]os>|</?\w+_of_\w+>|\[/?inst\]|<</?sys>>|<[|｜][^|｜<>]{1,40}[|｜]>|\[\|\w+\|\]|<turn\|>|<\|turn>|\]~b\]|\[e~\[|\[gmask\]|<sop>|<reserved_\d+>|<extra_id_\d+>";

/// Asks that what came before be ignored.
pub(super) const IGNORE: [&str; 16] = [
    r"\b(?:ignore|disregard|forget|override|bypass|skip)\b.{0,40}\b(?:above|previous|preceding|prior|earlier|instructions?|everything|rubric|criteria|rules)\b",
    r"\b(?:ignorier\w*|vergiss|missachte)\b.{0,40}\b(?:vorherig\w*|obig\w*|oben|vorangegangen\w*|alles|anweisung\w*)\b",
    r"\b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er))\b.{0,40}\b(?:precede\w*|ci-dessus|instructions?|avant)\b",
    r"\b(?:ignor[ae]\w*|olvid[ae]\w*|esqueca\w*|dimentica\w*)\b.{0,40}\b(?:anterior\w*|arriba|acima|sopra|precedent\w*|instruc\w*|istruzion\w*)\b",
    r"\b(?:negeer|vergeet)\b.{0,40}\b(?:bovenstaand\w*|voorgaand\w*|instructies)\b",
    r"\b(?:zignoruj\w*|pomin\w*)\b.{0,40}\b(?:powyz\w*|poprzedni\w*|instrukcj\w*)",
    r"\b(?:ignorera|bortse|ignorer|se bort)\b.{0,40}\b(?:ovan\w*|ovenfor|ovenstaende|tidigare|tidligere|instruktion\w*)\b",
    r"(?:игнорируй|игнорируйте|забудь|забудьте|ігноруй|проигнорируй).{0,40}(?:выше|предыдущ|инструкц|вище|попередн)",
    r"(?:忽略|无视|無視|忘记|忘掉).{0,12}(?:以上|上述|之前|前面|所有|指令)",
    r"(?:上記|以上|これまで|前述).{0,16}(?:無視|忘れ)",
    r"(?:위의|위|이전|앞의).{0,20}(?:무시|잊)",
    r"تجاهل.{0,16}(?:سبق|السابق|التعليمات|أعلاه|اعلاه)|نادیده.{0,20}(?:بالا|قبل)|(?:بالا|قبل).{0,20}نادیده",
    r"(?:ऊपर|पिछल|उपरोक्त).{0,30}(?:अनदेखा|नज़रअंदाज़|भूल)",
    r"\b(?:yukarida\w*|onceki\w*)\b.{0,40}(?:yok say|gormezden gel|unut)",
    r"\b(?:bo qua|abaikan|lupakan)\b.{0,40}\b(?:tren|truoc|di atas|sebelumnya|instruksi)\b",
    r"(?:התעלם|התעלמו).{0,30}(?:לעיל|הקודמ|ההוראות)|αγνο\w*.{0,40}(?:παραπανω|προηγουμεν\w*|οδηγιες)|(?:เพิกเฉย|ไม่ต้องสนใจ).{0,30}(?:ข้างต้น|ก่อนหน้า)",
];

/// Speaks to the reviewer, or of the review and its outcome.
pub(super) const REVIEW: [&str; 17] = [
    // The words of the review's own form.
    r"\b(?:answer|end|reply) with (?:one|a) line of this form\b|\bnumber of points\b|\bsay in one to three sentences\b|\bjudge a prompt and a response\b|^\W*the (?:prompt|response)\W*$|\btext under review\b|^\W*end of the (?:response|prompt|text)\W*$",
    r"^\W*(?:\d+\W+)?(?:clear|complete|feasible|worthwhile|well written|to the point|correct|fitting)\W{1,4}(?:yes|no|met|not met|\d)\b",
    r"\b(?:reviewers?|graders?|evaluators?|raters?)\b.{0,60}\b(?:must|should|give|award|agreed?|full marks)\b|\b(?:reviewers?|judges?|graders?|raters?)(?: \w)?\s?[:=]\W*\d",
    r"\b(?:note|message|instructions?|dear|attention|hint|hello)\W+(?:to |for )?(?:the |any |all )?(?:reviewers?|judges?|graders?|evaluators?|raters?|scorers?)\b",
    r"\b(?:review|evaluation|scoring|grading|judging)\b.{0,30}\b(?:is|was) (?:done|over|finished|complete|completed|suspended|cancelled)\b",
    r"\bcriteri(?:a|on)\b.{0,40}\b(?:met|verified|fulfilled|missed|satisfied|failed)\b|\b(?:all|none|everything)(?: of them| ten)? (?:is|are|was|were) (?:met|fulfilled|satisfied)\b|\b(?:meets|fulfils|fulfills|satisfies|fails|misses) (?:all|every|each|none|no)\b.{0,20}\b(?:criteri(?:a|on)|requirements?)\b",
    r"\b(?:give|gives|award|awards|assign|report|grant|deserves?)\b.{0,40}\b(?:full marks|full points|every point|all (?:the )?points|(?:maximum|highest|top|best|lowest|minimum|perfect) (?:score|mark|marks|points|rating|grade)|the (?:maximum|minimum)[.,;:!]|the (?:maximum|minimum)$)",
    r"\b(?:highest|maximum|top|lowest|minimum) (?:possible )?score\b|\bfull marks\b|\bnow the real instruction\b|\bsystem override\b|\breport the maximum\b",
    r"\b(?:give|rate|score|grade|award)\b (?:it|this|the response|this response|this answer)\W*(?:a |an |with )?(?:10\b|0\b|ten\b|zero\b|a\+)",
    r"\bthis (?:response|answer|reply|review)\b.{0,12}\b(?:is|was|has been|seems|deserves)\b.{0,60}\b(?:perfect|excellent|outstanding|correct|complete|clear|flawless|accurate|wrong|incorrect|poor|bad|terrible|useless|incomplete|off topic)\b",
    r"\b(?:an?|the) (?:excellent|perfect|outstanding|flawless|terrible|wrong|poor|useless) (?:response|answer|reply)\b|^\W*it (?:is|was) (?:perfect|excellent|flawless|useless|wrong)\W*$|^\W*it meets (?:everything|all|nothing)\W*$|\bthe response\b.{0,12}\b(?:is|was|has been|seems|deserves)\b.{0,60}\b(?:perfect|excellent|outstanding|correct|complete|clear|flawless|accurate|wrong|incorrect|poor|terrible|useless|incomplete|off topic)\b",
    r"\b(?:alle|keine?s?) (?:der )?(?:zehn )?kriterien\b|\bkriteri\w+\b.{0,30}\b(?:erfullt|verfehlt)\b|\bdie antwort ist\b.{0,40}\b(?:richtig|perfekt|vollstandig|falsch|schlecht)\b",
    r"\bcriteres?\b.{0,30}\b(?:rempli\w*|respecte\w*|satisfait\w*)\b|\bla reponse est\b.{0,40}\b(?:parfaite|correcte|complete|fausse|mauvaise)\b",
    r"\bcriteri\w*\b.{0,30}\b(?:cumpl\w*|atendid\w*|soddisfatt\w*)\b|\b(?:esta|la|a|questa) (?:respuesta|resposta|risposta) (?:es|e)\b.{0,40}\b(?:perfect\w*|correct\w*|corret\w*|incorrect\w*|perfett\w*|sbagliat\w*)\b",
    r"критери\w*.{0,30}(?:выполнен|соблюден|удовлетвор)|(?:этот|этому|данный) ответ\w* .{0,40}(?:правильн|идеальн|отличн|неверн|балл)",
    r"(?:标准|標準|条件|基準).{0,10}(?:满足|達成|达到|符合|満た)|(?:满足|符合).{0,8}(?:标准|標準)|(?:这个|該|本)(?:回答|答案).{0,12}(?:完美|正确|错误|优秀|满分)|评审意见",
    r"\bexample of a (?:correct )?review\b|^\W*(?:review|evaluation|bewertung|rezension|评审|评价|レビュー|평가)\s?:",
];

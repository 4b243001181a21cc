/* All that the page says, in Simplified Chinese: the groups and keys of words.js, which `language.js` lays over it. */

import { seconds, short } from "./numbers.js";
import * as english from "./words.js";
import { shortName, shortened, visible } from "./text.js";

/** @type {typeof english.algorithms} */
export const algorithms = { prob_conf: "概率阈值", entropy_conf: "熵阈值", self_speculative: "自推测", autoregressive: "自回归" };

/** @type {{[guesses: string]: string}} */
const guessesNames = { coherent: "连贯的猜测", independent: "独立的猜测" };

/** @type {typeof english.otherGuesses} */
export const otherGuesses = {
  decode: { coherent: "用连贯的猜测重新解码", independent: "用独立的猜测重新解码" },
  hint: { coherent: "同一次前向计算中，每个猜测都知道它前面的猜测", independent: "同一次前向计算中的猜测互不知晓，与论文相同" },
};

/** @type {typeof english.states} */
export const states = {
  empty: () => ["就绪", "提一个问题，回答的每次前向计算都会显示在这里。"],
  example: ({ model }) => ["已录制", `录制的 ${shortName(model)} 运行。提问即可实时解码。`],
  file: ({ model }) => ["已载入", `来自文件的 ${shortName(model)} 运行记录。`],
  replay: ({ model, created }) => ["已录制", `${shortName(model)} 的一次运行${created ? "，" + created.slice(0, 10) : ""}。`],
  waiting: ({ position, model }) =>
    model === "loading" ? ["等待", "模型仍在加载，加载完成后立即开始解码。"] : model === "unloaded" ? ["等待", "另一个模型让出空间后，立即加载此模型。"] : position && position > 0 ? ["等待", `正在等待模型，您排在第 ${position} 位。`] : ["开始", "正在读取提示词…"],
  running: () => ["解码中", "每次前向计算完成后立即显示。空格键只暂停显示，模型不会停下。"],
  stopped: () => ["已停止", "已解码的内容保留。"],
  done: ({ reason, judged, model }) => ["完成", `${model ? `${shortName(model)} 的` : ""}回答${reason === "length" ? "达到了长度上限" : "已完成"}。可以逐次回看${judged ? "，或移动 τ" : ""}。`],
  failed: ({ message }) => ["未解码", String(message || "出了问题。")],
};

/** @type {typeof english.stage} */
export const stage = {
  title: "顺序扩散语言模型：逐次前向计算",
  about: "模型在每次前向计算中猜测 D 个词元，并保留有把握的最长前缀。",
  chat: "对话",
  stage: "舞台",
  big: "Aa",
  bigHint: "大字，供教室后排观看",
  bigLabel: "Aa，大字，供教室后排观看",
  theme: "浅色或深色",
  model: {
    unloaded: ({ name }) => `${name}：未加载，提问时加载`,
    loading: ({ name }) => (name ? `${name} 加载中` : "模型加载中…"),
    failed: ({ name }) => (name ? `${name} 未能加载` : "没有模型"),
    ready: ({ name, device }) => `${name} · ${device}`,
  },
  progress: ({ seconds: now, of, size }) => `，${now} 秒${of ? `，共约 ${of} 秒` : ""}${size ? `，${size}` : ""}`,
  numbers: { passes: "前向次数", tokens: "词元", rate: "每次前向词元数", time: "时间" },
  linkCopied: "链接已复制，其中包含提示词和设置。",
  linkShown: "链接已在地址栏中，其中包含提示词和设置。",
  noTrace: "此文件中没有运行记录。",
  announcement: ({ tokens, passes }) => `${passes} 次前向计算，${tokens} 个词元。`,
  explanation(record) {
    const algorithm = record.head.config.algorithm;
    if (algorithm === "autoregressive" || record.blockSize === 1) return "每行显示一次前向计算：猜测一个词元并保留。";
    if (algorithm === "self_speculative") return "每行显示一次前向计算：检查上一次中可能性较大的猜测，只要自己的预测相同就保留（✓），再作新的猜测。";
    const guesses = record.head.config.block_size === "auto" ? `最多 ${record.blockSize} 个猜测，个数按速度选定` : `有 D = ${record.blockSize} 个猜测`;
    return `每行显示一次前向计算，${guesses}。框内的前缀予以保留：第一个猜测，以及其后连续高于 τ 的猜测。其余丢弃。`;
  },
};

/** @type {typeof english.conversation} */
export const conversation = {
  label: "对话",
  user: "提示词",
  assistant: "回答",
  markdown: "Markdown",
  markdownHint: "以 Markdown 或纯文本显示此回答",
  copy: "复制",
  copyHint: "复制回答的文本",
  copied: "已复制",
  notCopied: "未能复制",
};

/** @param {number|null} x */
const whole = (x) => Math.round(100 * (x || 0)) + "%";

/** @type {typeof english.ends} */
export const ends = {
  name: "各位置保留率",
  hint: "块中每个位置的猜测被保留的比例。柱：此次运行至今。横线：整个对话",
  place: (i, run, all) => `第 ${i + 1} 个猜测：在此次运行 ${whole(run)} 的前向计算中被保留` + (all === null ? "" : `，整个对话中为 ${whole(all)}`),
  label: (places) => `各猜测被保留的比例。${places.join("。")}。`,
};

/** @type {typeof english.promptTokens} */
export const promptTokens = {
  title: "模型读到的提示词",
  count: (n) => `模型读到的提示词：${n} 个词元`,
  special: (id) => `特殊词元 ${id}`,
  plain: (id) => `词元 ${id}`,
  loading: "读取中…",
  lost: "服务器没有回应。",
};

/** @type {typeof english.compare} */
export const compare = {
  old: "显示旧的运行",
  new: "显示新的运行",
  other: "显示另一次运行",
  back: "返回对话",
  file: "此记录不属于您的对话。您的下一个问题会接着原来的对话。",
  runs(before, now, parts, names) {
    const same = before.head.guesses === now.head.guesses;
    /** @param {import("./record.js").Record} record */
    const line = (record) => `${same ? "τ = " + short(record.head.config.threshold) : guessesNames[record.head.guesses]}：${record.passes.length} 次前向计算，每次 ${record.tokensPerPass.toFixed(2)} 个词元，${seconds(record.seconds)}`;
    const cut = [before, now].some(({ tail }) => tail && tail.finish_reason === "cancelled");
    const [first, second] = names ? names.map((name) => name + "：") : ["之前：", "现在："];
    return `${first}${line(before)}。${second}${line(now)}。${parts < 0 ? `两个回答${cut ? "在已有部分" : ""}一致。` : `两个回答从第 ${parts + 1} 个词元起不同。`}`;
  },
};

/** @type {typeof english.forks} */
export const forks = {
  label: "此提示词的各次运行",
  first: "最初的回答",
  unnamed: "（未命名）",
  leaves: (text, place) => `“${shortened(text, 20)}”，第 ${place + 1} 个词元`,
  tau: (tau) => `τ = ${short(tau)}`,
  again: ({ threshold, guesses }) => threshold === undefined ? guessesNames[guesses || ""] : `τ = ${short(threshold)}`,
  show: (name, depth) => `显示此运行：${name}${depth ? `，第 ${depth} 层分支` : ""}`,
  rate: "每次前向词元数",
  rename: "重命名此运行",
  name: "此运行的名称",
  against: "将当前显示的运行与此运行比较",
  own: "自己输入的接续文本",
  placeholder: "或自己输入文本",
  go: "继续",
  goHint: "从此处继续解码，此运行也会保留",
  how: "选择一个词元或输入文本，解码将从此处继续。",
  whileRunning: "运行结束后，可从此处继续解码。",
  beyond: "回答没有到达此位置，无法从此处继续解码。",
};

/** @type {typeof english.answer} */
export const answer = { label: "回答，每次前向计算标为一段", parts: "从此处起两个回答不同", given: "给定的内容，并非此次运行所解码", end: "结束词元", endLabel: "回答结束" };

/** @type {typeof english.passes} */
export const passes = {
  label: "前向计算，每行一次",
  go: (n) => `转到第 ${n} 次前向计算`,
  kept: (n) => `保留 ${n} 个`,
  width: (width, blocks) => (blocks > 1 ? `${blocks}×${width}` : `共 ${width}`),
  widthHint: (width, blocks) => `本次计算了 ${blocks > 1 ? `${blocks} 个块，每块 ${width} 个猜测，每个被检查的草稿前缀一块` : `${width} 个猜测`}。`,
  row: (index, kept, rest) =>
    `第 ${index + 1} 次前向计算：${kept.length + rest.length} 个猜测中保留 ${kept.length} 个：${kept.join("；")}。` + (rest.length ? `丢弃：${rest.join("；")}。` : "没有丢弃。"),
  guess: (text, confidence, notes) => [`${shortened(visible(text), 20)} ${short(confidence)}`, ...notes].join("，"),
  notes: {
    forced: (tau) => `不高于 τ ${short(tau)}，但作为第一个猜测保留`,
    limit: (tau) => `不高于 τ ${short(tau)}`,
    holds: "与草稿相同",
    mismatch: "与草稿不同",
    more: "运行中被丢弃",
    wrong: "回答中此处是另一个词元",
    less: "运行中被保留",
  },
  states: { kept: "保留", first: "第一个丢弃的", rest: "丢弃" },
  chip: (text, confidence, state, notes) => [shortened(visible(text), 40), "置信度 " + short(confidence), state, ...notes].join("，"),
};

/** @type {typeof english.cache} */
export const cache = { label: "KV 缓存", caption: "KV 缓存，本次前向计算的行数：", reused: "读取，", written: "写入，", thrown: "丢弃" };

/** @type {typeof english.timeline} */
export const timeline = {
  label: "时间",
  pass: "前向计算",
  speed: "回放速度",
  first: "第一次（Home）",
  back: "上一次（左箭头）",
  forward: "下一次（右箭头）",
  last: "最后一次（End）",
  play: "播放（空格）",
  pause: "暂停（空格）",
  none: "还没有前向计算",
  where: (cursor, length, time) => `第 ${cursor} / ${length} 次 · ${seconds(time)}`,
};

/** @type {typeof english.whatIf} */
export const whatIf = {
  label: "置信度色标与阈值",
  tau: "阈值 τ：置信度连续高于它的猜测予以保留",
  unsure: "没把握",
  sure: "有把握",
  empty: "一个猜测的置信度高于 τ，且它之前的猜测也都高于 τ，才会保留。",
  autoregressive: "自回归解码每次只猜测一个词元，τ 不起作用。",
  selfSpeculative: "自推测解码没有 τ：每次前向计算检查上一次的猜测，只要自己的预测相同就保留。",
  kept: (tau) => `保留：高于 τ = ${short(tau)} 的最长前缀。移动 τ 可重新判定这些前向计算。`,
  judged({ mean, more, agree }, recorded) {
    const beyond = more ? `还会多保留 ${more} 个猜测，其中 ${agree} 个与此运行最终写出的相同；其余标为 ≠。` : "";
    return `对录制的运行重新判定，并未重新解码：每次保留 ${mean.toFixed(2)} 个，而不是 ${recorded.toFixed(2)} 个。${beyond}`;
  },
  goesOn: "运行本身仍按原来的设置继续。",
  whenResting: "τ 停下后，将重新解码该提示词。",
  onceMore: "再移动一次 τ，即按它解码。",
};

/** @type {typeof english.tauPlot} */
export const tauPlot = {
  label: "速度与质量。",
  rate: "每次前向词元数",
  agreement: "一致率",
  tasks: { problems: "应用题", chat: "开放式提示词" },
  unmeasured: "此模型与此 D 没有实测曲线",
  title: (guesses) => `曲线：此模型在 τ .5 至 1 的实测结果（${guessesNames[guesses] || guesses}），一致率以 τ = 1 时的文本为准。圆圈：滑块的 τ。圆点：本回答，一致率以它自身的文本为准。`,
  here: (rate, agreement, judged) => `${judged ? "重新判定" : "本回答"}：每次 ${rate} 个词元${agreement ? `，一致率 ${agreement}` : ""}。`,
  curve: (task, n, { rate, agreement }) => `${n} 个${task}的实测：每次 ${rate.toFixed(2)} 个词元，一致率 ${short(agreement)}。`,
};

/** @param {string} text a token */
const quoted = (text) => `“${shortened(visible(text), 30)}”`;

/** @type {typeof english.card} */
export const card = {
  label: "一个猜测的详情",
  close: "关闭卡片",
  alternatives: "模型在此处认为最可能的词元",
  likeliest: "此处最可能的词元",
  knowing: "已知前面的猜测时，此处最可能的词元",
  alone: (p) => `不知道前面的猜测时，最可能的词元（此猜测：${p}）`,
  where: "位置",
  confidence: "置信度",
  probability: "概率",
  place: (pass, i, of, place) => `第 ${pass + 1} 次前向计算，第 ${i + 1} / ${of} 个猜测：回答的第 ${place + 1} 个词元`,
  limit: (tau) => `（τ = ${short(tau)}）`,
  entropy: (entropy) => `，熵 ${entropy.toFixed(2)} 奈特`,
  length: (characters) => `该词元有 ${characters} 个字符。`,
  tried: (tau, keeps, recorded, became) => `τ = ${short(tau)} 会${keeps ? "保留" : "丢弃"}它。在录制的运行中（τ = ${short(recorded)}）：${became}`,
  kept: "已保留。",
  keptSure: "已保留：它和前面的猜测都足够有把握。",
  keptFirst: (tau) => `虽不高于 τ = ${short(tau)} 仍保留：每次前向计算总保留第一个猜测。`,
  holds: "上一次在此处的猜测与它一致。",
  mismatch: (drafted) => `上一次在此处猜的是${quoted(drafted)}：不一致，检查到此结束。`,
  unsureFirst: "已丢弃：本次的第一个猜测就不高于 τ，因此只保留那一个。",
  notAbove: (confidence, tau) => `已丢弃：${short(confidence, 3)} 不高于 τ = ${short(tau)}。`,
  answerEnded: "已丢弃：回答已经结束。",
  follows: "已丢弃：它跟在被丢弃的猜测之后。",
  endedBefore: "回答在此位置之前已结束。",
  became: (pass, text) => `第 ${pass + 1} 次前向计算${text === null ? "作出同样的猜测并保留。" : `在此处写出的是${quoted(text)}。`}`,
  notKept: "未保留。",
  notYet: "尚未保留：若可能性足够大，下一次前向计算会检查它。",
  draft: "尚未保留：作为草稿，由下一次前向计算检查。",
  dropped: "已丢弃：可能性太小，不值得检查。",
};

/** @type {typeof english.beforeAfter} */
export const beforeAfter = {
  label: "应用温度、top-p 与 top-k 之前和之后",
  before: "之前",
  after: "之后",
  excluded: "已排除",
  orExcluded: (p) => `≤${p}?`,
  impossible: "此次运行使用了 top-p 或 top-k。被排除的词元不在记录中，因此无法得知应用之前的分布。",
  beyond: "此猜测不在记录的词元之中，因此无法得知它的新概率。",
  guessExcluded: "此猜测会被排除。",
  range: "范围或问号表示该值取决于记录中没有的词元。",
  again: (confidence, above, tau) => `此猜测的置信度将为 ${confidence}：${above === null ? "不一定" : above ? "" : "不"}高于 τ = ${short(tau)}。`,
};

/** @type {typeof english.compose} */
export const compose = {
  prompts: english.compose.prompts, // the built-in model reads English
  placeholder: "提一个问题",
  prompt: "您的提示词",
  examples: "示例提示词",
  model: "模型",
  algorithm: "算法",
  send: "发送",
  race: "开始竞速",
  stop: "停止",
  stopLabel: "停止解码",
  blockSize: "D，每次猜测数",
  auto: "自动：按速度选定",
  trained: (d) => `${d}，与模型训练时相同`,
  guesses: "每次的猜测",
  guessesNames: { coherent: "连贯：每个猜测知道前面的猜测", independent: "独立：与论文相同" },
  temperature: "温度",
  topP: "Top-p",
  topPValue: (p) => (p < 1 ? short(p) : "关"),
  topK: "Top-k",
  topKValue: (k) => (k ? String(k) : "关"),
  length: "回答长度（词元）",
  system: "系统提示词",
  systemHint: "留空：使用模型对话模板的默认内容",
  thresholdOn: "阈值依据",
  threshold: "阈值 τ",
  settings: ["设置", "下一次运行的设置"],
  retry: ["重试", "重新解码上一个提示词"],
  clear: ["清空", "清空对话"],
  share: ["复制链接", "复制包含此提示词和设置的链接"],
};

/** @type {typeof english.files} */
export const files = {
  label: "保存此次运行",
  saveTrace: ["保存记录", "将此次运行下载为 JSON 记录"],
  savePage: ["保存回放文件", "将此舞台下载为一个 HTML 文件，可在任何浏览器中回放"],
  load: ["载入记录", "显示文件中的记录"],
  tooLarge: (size, limit) => `文件太大：${size.toFixed(0)} MB，最多读取 ${limit} MB。`,
  refused: "服务器未接受此文件。",
  notJSON: "这不是运行记录：内容不是有效的 JSON。",
  unreadable: "无法读取此文件。",
};

/** @type {typeof english.wire} */
export const wire = { lost: "与服务器的连接已断开，请重新发送提示词。", missed: "此页面漏掉了一些前向计算，服务器已不再保存，请重新发送提示词。" };

/** @type {typeof english.site} */
export const site = {
  tabs: ["录制的运行", "竞速", "学习"],
  lab: "实测曲线",
  run: "运行",
  option: (algorithm, tau, prompt) => `${algorithm}，τ ${tau}：${prompt.slice(0, 60)}`,
};

/** @type {typeof english.race} */
export const race = {
  title: "一个提示词，三种解码方式",
  about: "三者先后解码，再并排回放。前向次数更少与用时更短是不同的收益，因此都显示；只有在没有他人同时解码时才显示用时的收益。",
  lanes: [["自回归", "每次一个词元：语言模型通常的生成方式。"], ["阈值", "保留置信度高于 τ 的最长前缀。"], ["自推测", "检查自己的猜测，因此写出与 τ = 1 相同的内容。"]],
  numbers: { passes: "前向次数", rate: "每次前向词元数", time: "时间", gain: "与自回归相比" },
  answer: (title) => "回答：" + title,
  phases: { empty: "", waits: "等待中", decoding: "解码中", recorded: "已录制", stopped: "已停止", undecoded: "未解码", replaying: "回放中", finished: "已完成" },
  shared: "共用",
  gain: (perPass, clock) => `按前向次数 ${perPass.toFixed(1)}×` + (clock === null ? "" : `，按时间 ${clock.toFixed(1)}×`),
  clock: "回放的计时",
  measured: "实测时间",
  equal: (rate) => `等速：每秒 ${rate} 次前向计算`,
  replay: ["回放", "回放竞速"],
  seconds: (time) => time.toFixed(1) + " 秒",
  everyPass: "每次前向计算用时相同：请比较前向次数",
  choose: "选择一个提示词，三者即开始。",
  recorded: (prompt, device) => `录制的竞速：“${prompt}”（${device}）。选择一个提示词，开始您自己的竞速。`,
  reading: "正在读取提示词…",
  decoding: (lane, of) => `正在解码第 ${lane + 1} / ${of} 个，逐一进行。`,
  stopped: "已停止。重新开始可看到全部三个。",
  by: (model) => `由 ${model} 解码。`,
  result: (title, parts) => (parts < 0 ? `${title}：与自回归的文本相同。` : `${title}：从第 ${parts + 1} 个词元起与自回归不同（≠）。`),
  others: "有他人同时解码，用时无法比较：回放按前向次数进行。",
};

/** @param {number} x a share */
const percent = (x) => (100 * x).toFixed(1).replace(/\.0$/, "") + "%";

/** @type {typeof english.lesson} */
export const lesson = {
  title: "学习：一次前向计算写出多个词元",
  about: "九个步骤，基于一次录制的运行。每步请完成操作并回答问题。左右箭头键切换步骤。",
  nav: "课程步骤",
  loading: "课程加载中…",
  failed: "无法加载课程，请重新加载页面。",
  source: "显示",
  recorded: "录制的运行",
  live: "您的上一次运行",
  unsuited: "您的上一次运行不适合此步，因此这里显示录制的运行。",
  big: "大字",
  bigLabel: "Aa，大字，供教室后排观看",
  notes: "备注",
  notesHint: "讲者备注（N）",
  questions: "打印问题",
  questionsHint: "打印九个问题",
  answers: "打印答案",
  answersHint: "将答案单独打印",
  reset: "重新开始",
  resetHint: "清除所有任务和答案",
  sheetQuestions: "一次前向计算写出多个词元：问题",
  sheetAnswers: "一次前向计算写出多个词元：答案",
  link: "复制链接",
  linkHint: "复制指向此步当前画面的链接",
  copied: "链接已复制。",
  shown: "链接已在地址栏中。",
  next: "下一步",
  nextHint: "转到下一步（右箭头）",
  todo: "请完成：",
  done: "✓ 已完成：",
  right: "正确。",
  wrong: "不完全对。",
  step: (n, title, done) => `第 ${n} 步：${title}${done ? "，已完成" : ""}`,
  masks: {
    d: "块大小 D",
    inputs: "新增各行的词元（m 为掩码词元）",
    guesses: "本次前向计算的猜测",
    known: (text) => `已知：提示词和“${text.trimEnd()} ”。`,
    rows: (rows, cached) => `本次前向计算有 ${rows} 行，另从缓存读取 ${cached} 行。`,
  },
  mask: {
    rule: "布局",
    rules: { autoregressive: "自回归", prob_conf: "阈值", self_speculative: "自推测", training: "训练" },
    kind: "块内",
    both: "双向",
    causal: "因果",
    cache: "KV 缓存",
    withCache: "使用",
    without: "不使用",
    d: "D",
    row: "行",
    picture: "哪一行能看见哪一行。",
    folded: (n) => `更早的 ${n} 个词元，各行都可见`,
    sees: (token, position, block, text, own) => `${token}，位置 ${position}${block < 0 ? "" : `，第 ${block + 1} 块`}：可见 ${text} 个文本行${block < 0 ? "" : `和本块的 ${own} 行`}。`,
    textKey: "可见文本",
    ownKey: "可见本块",
    noneKey: "不可见",
  },
  predict: {
    choose: "请选择您认为会保留的最后一个猜测。",
    chosen: (n) => `您认为保留 ${n} 个猜测。`,
    reveal: "揭晓",
    again: "再试一次",
    revealed: (guess, kept, tau) => `${guess === kept ? "正确" : `您选了 ${guess} 个`}：保留 ${kept} 个。第 ${kept + 1} 个猜测不高于 τ = ${short(tau)}，因此它和之后的猜测都丢弃。`,
  },
  prefix: {
    rule: "规则",
    rules: { prefix: "保留有把握的最长前缀", sure: "一直保留到最后一个有把握的猜测", coherent: "保留前缀，使用连贯的猜测" },
    coherent: "连贯的猜测：一个小网络（采样器）把前面选定的词元告诉每个猜测。",
    noSampler: "这些猜测彼此独立，互不知晓。录制所用的模型没有使猜测连贯的采样器。",
  },
  calibration: {
    title: "各置信度的猜测有多少是正确的",
    note: (n) => `来自此模型 τ 扫描的 ${n.toLocaleString("en")} 个猜测，不含每次前向计算的第一个。“正确”指与 τ = 1 写出的词元相同。`,
    bar: (from, to, share) => `置信度 ${from.toFixed(1)} 到 ${to.toFixed(1)}：${whole(share)} 正确`,
  },
  speculative: {
    branches: "本次前向计算的分支，到第一个不一致为止",
    branch: (i, read, predicts, holds) => `分支 ${i} 读取${read ? `“${read}”` : "空草稿"}，预测“${predicts}”${holds === null ? "，超出草稿：保留。" : holds ? "：与草稿一致 ✓" : "：与草稿不一致 ≠"}`,
    compare: "与自回归比较",
    notCompared: "没有此提示词的自回归录制。",
    compared: (tokens, parts) => (parts < 0 ? `逐词元比较：全部 ${tokens} 个词元与自回归的运行相同。` : `两个回答从第 ${parts + 1} 个词元起不同。`),
  },
  speed: {
    cost: "每多一行的代价",
    free: "行不耗时",
    here: (cost, device) => `录制时实测：${percent(cost)}（${device}）`,
    percent,
    names: { prob_conf: "阈值", entropy_conf: "阈值", self_speculative: "自推测" },
    gain: (gain, rate) => `速度 ${gain.toFixed(2)}×，每次 ${rate.toFixed(2)} 个词元`,
    even: (name, cost) => (cost === null ? `${name}没有持平点。` : `每行代价为 ${percent(cost)} 时，${name}与逐个词元解码一样快。`),
    source: "以单行前向计算的百分比计。“录制时实测”：对录制的各次前向计算的用时作直线拟合。本页没有测量过 GPU。",
  },
  steps: {
    pass: {
      title: "每次一个词元",
      text: "把语言模型的所有层运行一遍，就是一次前向计算。它给出每个可能的下一个词元的概率。普通解码（即自回归解码）只保留一个词元，然后再运行整个模型。每次的用时显示在右侧。",
      task: "逐次查看五次前向计算，观察回答如何变长。",
      question: ({ tokens }) => `回答有 ${tokens} 个词元（含结束词元）。需要多少次前向计算？`,
      options: ["每个词元一次", "每个单词一次", "整个回答一次"],
      reveal: ({ tokens, passes: count }) => `${tokens} 个词元需要 ${count} 次前向计算。每次都要读取模型的全部权重，却只得到一个词元。`,
      notes: "请提问：为什么第一次更慢？它要读取整个提示词。之后每次只计算一个新词元，其余取自 KV 缓存（第 6 步）。",
    },
    masks: {
      title: "D − 1 个掩码，D 个猜测",
      text: "一次前向计算为每个新词元计算一行，即各层在该位置对它的计算结果。在最新词元之后加一个 D 行的块：该词元再一次，然后是 D − 1 个掩码词元（m），代表尚未知道的词元。块中每一行猜测自己位置之后的那个词元，于是一次前向计算给出 D 个猜测。",
      task: "把 D 从 1 移到 8。",
      question: "D = 1 时没有块，只有最新词元的一行。D = 8 时有多少行？",
      options: ["64", "9", "8"],
      reveal: "9 行：最新词元自己的一行（称为文本行），加上块的 8 行。只有块给出猜测。文本行看不见掩码，因此可以留给以后的前向计算（第 6 步）；块则丢弃。",
      notes: "语言模型要经过训练才会从掩码猜测，普通模型不会。越靠后的猜测知道得越少：它们前面紧邻的是掩码。请比较它们的置信度。",
    },
    sees: {
      title: "哪一行能看见哪一行",
      text: "图中每一行就是前向计算中的一行；它用注意力关注到的行，就是它“看见”的行。文本行看见直到自身（含）的文本。块中的行看见该块第一个位置之前的文本，以及本块：双向时是整个块，因果时到自身为止。其他的块（自推测和训练中才有）它永远看不见。",
      task: "选择一个掩码行（m），先双向，再因果。",
      question: "双向时，块的第一行能看见最后一个掩码吗？",
      options: ["能", "永远不能", "只有使用缓存时"],
      reveal: "能。在因果的块中，它在块内只看见自己。块以最新词元本身开头，所以不再看见该词元的文本行。缓存改变要计算哪些行，但不改变一行能看见什么。",
      notes: "展示训练布局：一个序列中有许多块，块与块互不可见。再展示自推测：草稿的每个前缀各有一个块。",
    },
    predict: {
      title: "预测保留哪些",
      text: ({ tau }) => `每个猜测上的数字是它的置信度，通常就是它的概率。第一个猜测总是保留；之后的猜测，只要一个接一个都高于阈值 τ，就继续保留。一旦有一个不高于 τ，它及其之后的都丢弃，由下一次前向计算重新猜测。这里 τ 为 ${short(tau)}。`,
      task: "选择您认为会保留的最后一个猜测，然后揭晓。",
      question: "τ = 1 时，一次前向计算保留多少个猜测？",
      options: ["零个", "一个", "全部"],
      reveal: "一个：第一个总是保留，因此回答总在变长。没有置信度高于 1，所以其余的都不保留。τ = 1 时每次写一个词元，与普通解码一样。",
      notes: "揭晓前请全班表决。多数人会保留没把握的猜测之后那个有把握的。τ = 1 的文本可能与普通解码不同：第一个猜测所在的行还看得见掩码。",
    },
    prefix: {
      title: "为什么是前缀",
      text: "块中的行看见的是掩码，而不是其他行的猜测。高于 τ 的猜测（有把握的）不一定接得上它前面没把握的猜测，所以遇到第一个没把握的就停止。另一种规则会一直保留到最后一个有把握的猜测。同一提示词也按它解码过。请读那个回答：“selling”之后说了多少？",
      task: "把规则换成“一直保留到最后一个有把握的猜测”，并阅读回答。",
      question: "为什么没把握的猜测之后那个有把握的要丢弃？",
      options: ["它的置信度太低", "缓存没有空间", "猜测它时不知道前一个词元"],
      reveal: "每个猜测可能属于不同的句子。没把握的猜测常常是错的，它之后的猜测再有把握也可能接不上。有把握的猜测很可能是对的，它之后的就很可能接得上。",
      notes: "错误的规则写出“selling selling”，丢了 38，结尾的答案也错了。有把握的猜测不一定接得上前一个猜测。",
    },
    cache: {
      title: "KV 缓存",
      text: "KV 缓存保存文本行中注意力所需的键和值，以后的前向计算不必再算这一行。块中的行从不保存：它们看见过掩码。所以一次前向计算保留的词元还只是猜出来的；下一次把它们作为文本行计算，并写入缓存。",
      task: "转到保留词元最多的一次前向计算，再前进一次。",
      question: ({ pass, kept }) => `第 ${pass} 次前向计算保留 ${kept} 个词元。下一次向缓存写入多少行？`,
      options: ["一行", "与保留数相同", "零行"],
      reveal: ({ pass, kept, d }) => `第 ${pass + 1} 次有 ${kept} 行对应保留的 ${kept} 个词元，予以写入；另有 ${d} 个块行，予以丢弃。`,
      notes: "保留的词元并非没有代价：下一次还要把它作为文本行再计算一次。丢弃的猜测同样占行。",
    },
    tau: {
      title: "移动 τ",
      text: "τ 低，每次保留的猜测多，错的也多；τ 高则少。滑块只重新判定录制的猜测，不重新解码。τ 之所以有用，是因为置信度越高的猜测越可能正确：见柱状图。",
      task: "把 τ 移到 .60 或更低，再移到 .99。",
      question: "τ 从 .90 降到 .60，会怎样？",
      options: ["每次词元更多，错误更多", "每次词元更多，错误不变", "每次词元更少，错误更少"],
      reveal: "保留得更多，其中与每次只写一个词元时不同的也更多。τ 在速度和与后者的一致之间权衡。",
      notes: "若置信度毫无意义，各柱会一样高，任何 τ 都没有用。",
    },
    speculative: {
      title: "模型检查自己的猜测",
      text: "这里没有 τ。一次前向计算猜出而未保留的词元是草稿。下一次用多个分支同时检查草稿：分支 0 不读草稿，分支 1 读第一个草稿词元，依此类推；每个分支预测下一个词元。只要预测与草稿相同，草稿词元就保留（✓）。在第一个不同处（≠）改为保留预测的词元，该分支的块给出下一份草稿。",
      task: "选择标有 ≠ 的猜测，然后与自回归比较。",
      question: "第二个草稿词元不同，第三个与其分支的预测相同。第三个会保留吗？",
      options: ["会，因为相同", "不会", "只有它有把握时"],
      reveal: "不会。它的分支读取了没有保留的第二个草稿词元，所以预测的是另一段文本。每个保留的词元都是模型只在已保留的词元之后所预测的。因此文本与每次一个词元（τ = 1）时相同。",
      notes: "第一次没有草稿，所以只保留一个猜测。没有损失，代价是行数：每个分支都有自己的块。",
    },
    speed: {
      title: "每次前向词元数不等于速度",
      text: "行数更多的前向计算用时更长，长多少取决于机器。滑块设定每多一行的代价。柱形按录制运行的行数，显示各方式会比每次一个词元快多少。",
      task: "提高代价，直到其中一个不再更快。",
      question: ({ rate }) => `此运行每次保留 ${rate.toFixed(1)} 个词元。速度就是 ${rate.toFixed(1)} 倍吗？`,
      options: ["总是", "只有在行不耗时的机器上", "还要更快"],
      reveal: "只有在行不耗时的机器上。在其他机器上，收益更小。收益在多大代价下消失，取决于这个回答的各次前向计算有多少行。",
      notes: "自推测的行数最多，因此最先失去优势。“竞速”页会为实时运行同时显示两个数字。",
    },
  },
};

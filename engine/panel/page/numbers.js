/* How a number stands on a fader, how it is written, and how a typed one is read. The same curves as engine/show/params.py.

   share(param, value)     0 to 1, along the fader's travel
   at(param, share)        the other way round
   written(param, value)   "0.40"
*/

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Whether a number has two ends, near enough for a fader to be of use. */
export function hasFader(param) {
  if (param.low === null || param.high === null || param.low === undefined || param.high === undefined) return false;
  return param.kind === "number" || (param.kind === "integer" && param.high - param.low <= 1000);
}

/** Where on a fader's travel a value stands, 0 to 1. */
export function share(param, value) {
  const { low, high } = param;
  if (high <= low) return 0;
  const inside = clamp(value, low, high);
  if (param.curve === "log") return Math.log(inside / low) / Math.log(high / low);
  const part = (inside - low) / (high - low);
  return param.curve === "square" ? Math.sqrt(part) : part;
}

/** The value at a share of a fader's travel, rounded so that it can be read. */
export function at(param, part) {
  const { low, high } = param;
  const inside = clamp(part, 0, 1);
  let value = low + (high - low) * (param.curve === "square" ? inside * inside : inside);
  if (param.curve === "log") value = low * (high / low) ** inside;
  return clamp(rounded(param, value), low, high);
}

/** The value so many steps on: a step is a hundredth of the travel, or one for a whole number. */
export function stepped(param, value, steps) {
  if (!hasFader(param)) {
    const size = param.kind === "integer" ? 1 : 10 ** Math.floor(Math.log10(Math.max(Math.abs(value), 0.1)) - 1);
    return limited(param, rounded(param, value + steps * size));
  }
  if (param.kind === "integer") {
    const whole = Math.sign(steps) * Math.max(1, Math.round(Math.abs(steps)));
    return clamp(value + whole, param.low, param.high);
  }
  return at(param, share(param, value) + steps / 100);
}

/** A typed number, or null for what is none. A comma does for a point. */
export function read(param, text) {
  const plain = text.trim().replace(",", ".").replace("−", "-");
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return null;
  const value = Number(plain);
  if (!Number.isFinite(value) || (param.kind === "integer" && !Number.isInteger(value))) return null;
  return value === limited(param, value) ? value : null;
}

/** What a number must be, in words. */
export function allowed(param) {
  const noun = param.kind === "integer" ? "a whole number" : "a number";
  const unit = param.unit ? ` ${param.unit}` : "";
  const low = param.low ?? null;
  const high = param.high ?? null;
  if (low !== null && high !== null) return `${noun} from ${plain(low)} to ${plain(high)}${unit}`;
  if (low !== null) return `${noun} of at least ${plain(low)}${unit}`;
  return high === null ? noun + unit : `${noun} of at most ${plain(high)}${unit}`;
}

/** A number as it is shown: as many decimals as its range asks for, and more where it has them. */
export function written(param, value) {
  if (typeof value !== "number") return String(value ?? "");
  if (param.kind === "integer") return minus(String(value));
  const least = Math.max(decimals(param) - 1, 0);
  const short = value.toFixed(least);
  const exact = String(Number(value.toFixed(least + 2)));
  return minus(exact.length > short.length && !exact.includes("e") ? exact : short);
}

/** A number without needless zeros, as the ends of a fader have it. */
export function plain(number) {
  return minus(String(Number(number.toPrecision(6))));
}

function minus(text) {
  return text.replace(/^-/, "−");
}

function limited(param, value) {
  return clamp(value, param.low ?? -Infinity, param.high ?? Infinity);
}

/** So many decimals that a thousandth of the range can be told apart. */
function decimals(param) {
  const span = param.low === null || param.high === null ? 10 : param.high - param.low;
  return clamp(3 - Math.floor(Math.log10(Math.max(span, 1e-6))), 0, 6);
}

function rounded(param, value) {
  if (param.kind === "integer") return Math.round(value);
  if (param.curve === "log") return Number(value.toPrecision(4));
  return Number(value.toFixed(decimals(param)));
}

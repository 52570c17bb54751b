// Which part of the call is shown, and where the cursor is. Everything that draws listens here.

/** Closer than this there is nothing more to see. */
const NARROWEST_MS = 200;

export class View {
  /** @param {number} lengthMs */
  constructor(lengthMs) {
    this.lengthMs = Math.max(1, lengthMs);
    this.fromMs = 0;
    this.toMs = this.lengthMs;
    this.cursorMs = 0;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    /** @type {Set<(byHand: boolean) => void>} */
    this.cursorListeners = new Set();
    this.pending = false;
  }

  get widthMs() {
    return this.toMs - this.fromMs;
  }

  /** @param {() => void} listener */
  onChange(listener) {
    this.listeners.add(listener);
  }

  /** `byHand`: somebody has put it there. @param {(byHand: boolean) => void} listener */
  onCursor(listener) {
    this.cursorListeners.add(listener);
  }

  /** @param {number} fromMs @param {number} widthMs */
  show(fromMs, widthMs) {
    const width = Math.min(this.lengthMs, Math.max(NARROWEST_MS, widthMs));
    const from = Math.min(Math.max(0, fromMs), Math.max(0, this.lengthMs - width));
    if (from === this.fromMs && from + width === this.toMs) return;
    this.fromMs = from;
    this.toMs = from + width;
    this.changed();
  }

  /** Above 1: closer. @param {number} factor @param {number} [aroundMs] */
  zoom(factor, aroundMs = this.cursorMs) {
    const inside = aroundMs >= this.fromMs && aroundMs <= this.toMs;
    const around = inside ? aroundMs : (this.fromMs + this.toMs) / 2;
    const share = (around - this.fromMs) / this.widthMs;
    const width = Math.min(this.lengthMs, Math.max(NARROWEST_MS, this.widthMs / factor));
    this.show(around - share * width, width);
  }

  /** @param {number} ms */
  pan(ms) {
    this.show(this.fromMs + ms, this.widthMs);
  }

  fit() {
    this.show(0, this.lengthMs);
  }

  /** @param {number} ms @param {boolean} byHand */
  moveCursor(ms, byHand) {
    this.cursorMs = Math.min(this.lengthMs, Math.max(0, ms));
    if (byHand) this.reveal();
    for (const listener of this.cursorListeners) listener(byHand);
  }

  /** Puts the cursor there and makes it seen. @param {number} ms */
  jump(ms) {
    this.moveCursor(ms, true);
  }

  /** Scrolls until the cursor is seen. */
  reveal() {
    const margin = this.widthMs * 0.05;
    if (this.cursorMs < this.fromMs || this.cursorMs > this.toMs)
      this.show(this.cursorMs - this.widthMs * 0.3, this.widthMs);
    else if (this.cursorMs > this.toMs - margin && this.toMs < this.lengthMs) this.pan(this.widthMs * 0.6);
  }

  /** However often something changes, it is drawn once. */
  changed() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      for (const listener of this.listeners) listener();
    });
  }
}

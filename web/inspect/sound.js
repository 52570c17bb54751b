import { bytesOf } from './data.js';

// Plays the call: left what the caller said, right what the caller heard, or both in the middle.

/**
 * @typedef {import('./view.js').View} View
 * @typedef {'both' | 'caller' | 'agent'} Side
 */

const RATE = 8000;
const CHANNELS = 2;

/** A WAV header for mu-law. @param {number} bytes */
function wavHead(bytes) {
  const head = new DataView(new ArrayBuffer(58));
  const text = (/** @type {number} */ at, /** @type {string} */ word) => {
    for (let i = 0; i < word.length; i += 1) head.setUint8(at + i, word.charCodeAt(i));
  };
  text(0, 'RIFF');
  head.setUint32(4, 50 + bytes, true);
  text(8, 'WAVEfmt ');
  head.setUint32(16, 18, true);
  head.setUint16(20, 7, true);
  head.setUint16(22, CHANNELS, true);
  head.setUint32(24, RATE, true);
  head.setUint32(28, RATE * CHANNELS, true);
  head.setUint16(32, CHANNELS, true);
  head.setUint16(34, 8, true);
  text(38, 'fact');
  head.setUint32(42, 4, true);
  head.setUint32(46, bytes / CHANNELS, true);
  text(50, 'data');
  head.setUint32(54, bytes, true);
  return head.buffer;
}

/** Unpacks the sound piece by piece and forgets its text. */
async function loadSound() {
  const parts = [];
  let bytes = 0;
  for (const script of document.querySelectorAll('script.sound')) {
    const packed = new Blob([bytesOf(script.textContent ?? '')]);
    script.remove();
    const part = await new Response(
      packed.stream().pipeThrough(new DecompressionStream('gzip')),
    ).arrayBuffer();
    bytes += part.byteLength;
    parts.push(part);
  }
  return URL.createObjectURL(new Blob([wavHead(bytes), ...parts], { type: 'audio/wav' }));
}

/** Plays, or only moves the cursor where there is nothing to be heard. */
export class Player {
  /** @param {View} view @param {boolean} isSilent */
  constructor(view, isSilent) {
    this.view = view;
    this.isSilent = isSilent;
    this.playing = false;
    this.rate = 1;
    /** @type {Side} */
    this.side = 'both';
    /** @type {HTMLAudioElement | undefined} */
    this.audio = undefined;
    /** @type {(() => void) | undefined} */
    this.setSide = undefined;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    this.lastTick = 0;
    /** Why it cannot be heard. */
    this.error = '';
    view.onCursor((byHand) => {
      if (byHand && this.audio !== undefined) this.audio.currentTime = view.cursorMs / 1000;
    });
  }

  /** @param {() => void} listener */
  onChange(listener) {
    this.listeners.add(listener);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play().catch((error) => this.failed(error));
  }

  async play() {
    if (this.view.cursorMs >= this.view.lengthMs - 50) this.view.jump(0);
    this.playing = true;
    this.told();
    if (!this.isSilent) {
      const audio = await this.load();
      audio.currentTime = this.view.cursorMs / 1000;
      audio.playbackRate = this.rate;
      if (this.playing) await audio.play();
    }
    this.lastTick = performance.now();
    if (this.playing) requestAnimationFrame(() => this.tick());
  }

  pause() {
    this.playing = false;
    this.audio?.pause();
    this.told();
  }

  /** @param {unknown} error */
  failed(error) {
    this.error = error instanceof Error ? error.message : String(error);
    this.pause();
  }

  /** @param {Side} side */
  choose(side) {
    this.side = side;
    this.setSide?.();
    this.told();
  }

  /** @param {number} rate */
  setRate(rate) {
    this.rate = rate;
    if (this.audio !== undefined) this.audio.playbackRate = rate;
  }

  async load() {
    if (this.audio !== undefined) {
      await this.context?.resume();
      return this.audio;
    }
    const audio = new Audio();
    this.audio = audio;
    // Made while the key or the click counts: later, the browser would not let it sound.
    this.connect(audio);
    audio.src = await loadSound();
    audio.preservesPitch = true;
    await new Promise((resolve, reject) => {
      audio.addEventListener('loadedmetadata', resolve, { once: true });
      audio.addEventListener('error', () => reject(audio.error), { once: true });
    });
    return audio;
  }

  /** @param {HTMLAudioElement} audio */
  connect(audio) {
    this.context = new AudioContext();
    const source = this.context.createMediaElementSource(audio);
    const split = this.context.createChannelSplitter(2);
    const said = this.context.createGain();
    const heard = this.context.createGain();
    source.connect(split);
    split.connect(said, 0);
    split.connect(heard, 1);
    said.connect(this.context.destination);
    heard.connect(this.context.destination);
    this.setSide = () => {
      said.gain.value = this.side === 'agent' ? 0 : 1;
      heard.gain.value = this.side === 'caller' ? 0 : 1;
    };
    this.setSide();
  }

  tick() {
    if (!this.playing) return;
    const now = performance.now();
    const silentMs = this.view.cursorMs + (now - this.lastTick) * this.rate;
    this.lastTick = now;
    this.view.moveCursor(this.audio === undefined ? silentMs : this.audio.currentTime * 1000, false);
    this.view.reveal();
    if (this.audio?.ended || this.view.cursorMs >= this.view.lengthMs) this.pause();
    else requestAnimationFrame(() => this.tick());
  }

  told() {
    for (const listener of this.listeners) listener();
  }
}

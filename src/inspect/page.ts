import { createHash } from 'node:crypto';
import type { StoredCall } from '../recording/stored-call.ts';
import { readStory, type Story } from '../recording/story.ts';
import { readAssets } from './assets.ts';
import { type PageData, pageData } from './page-data.ts';
import { escapeHtml, plain, scriptJson } from './plain.ts';
import { peaksOf, type Sound, soundOf } from './sound.ts';

/** How a page is to be made. */
export interface PageOptions {
  /** False: nothing can be heard. */
  readonly audio: boolean;
  /** Sound that would take more than so many bytes of the page is left out. */
  readonly maxAudioBytes: number;
}

/** A page and what is known of it. */
export interface Page {
  readonly html: string;
  readonly story: Story;
  /** Of the sound in the page; 0: there is none. */
  readonly audioBytes: number;
  /** Why there is no sound; undefined: there is. */
  readonly silent: string | undefined;
}

/** One HTML page that holds everything of this call and asks nobody for anything. */
export function inspectPage(stored: StoredCall, options: PageOptions): Page {
  const { story, tracks } = readStory(stored);
  const sound = options.audio ? soundOf(tracks) : undefined;
  const silent = reason(sound, stored, options);
  const kept = silent === undefined ? sound : undefined;
  const data = pageData(stored, story, peaksOf(tracks), silent);
  return { html: htmlOf(data, kept), story, audioBytes: kept?.bytes ?? 0, silent };
}

function reason(sound: Sound | undefined, { wavs }: StoredCall, options: PageOptions): string | undefined {
  if (sound === undefined) return 'the page was made without sound';
  if (wavs.size === 0) return 'the call has no sound';
  if (sound.bytes <= options.maxAudioBytes) return undefined;
  return `its sound would take ${megabytes(sound.bytes)}, and the limit is ${megabytes(options.maxAudioBytes)}`;
}

/** For people: `1.5 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function htmlOf(data: PageData, sound: Sound | undefined): string {
  const { script, style } = readAssets();
  // Only this script and this style: whatever a text of the call were taken for, it does nothing and asks nobody.
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    'media-src blob:',
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const chunks = (sound?.chunks ?? []).map(
    (chunk) => `<script type="application/octet-stream" class="sound">${chunk}</script>\n`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(plain(data.title))} – call</title>
<style>${style}</style>
</head>
<body>
<noscript><p>This page is drawn by its own script, which has been switched off.</p></noscript>
<div id="page"></div>
<script type="application/json" id="data">${scriptJson(data)}</script>
${chunks.join('')}<script>${script}</script>
</body>
</html>
`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}

/**
 * What a service says of its trouble as logs may have it: it may quote what people said, or a telephone number. Names
 * of fields and models, which help, have no spaces.
 * @param text short: this is not meant for much
 */
export function discreet(text: string): string {
  return text
    .replace(/["“][^"”]*(?:["”]|$)/g, (quote) => (/\s/.test(quote) ? '"…"' : quote))
    .replace(/\+?\d(?:[ ().-]{0,2}\d){8,}/g, '[number]');
}

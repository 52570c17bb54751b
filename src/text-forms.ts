/** Forms and lengths of texts, wherever they are written: in settings, files, requests and answers. */

/** A name that stands in `{{}}`. */
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_.]{0,63}$/;
/** The most characters that a value of a variable may have. */
export const MAX_VARIABLE_CHARS = 4000;
/** Who can be called: E.164 or a SIP address, with nothing that could get out of an address or a document. */
export const CALL_ADDRESS = /^(?:\+[1-9]\d{2,14}|sips?:[\x21-\x7e]{1,250})$/;

/** Longest text that an agent or a carrier is told to say in one go. */
export const SAYABLE = 2000;

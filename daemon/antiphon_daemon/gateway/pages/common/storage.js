// What the browser keeps for a page. It may keep nothing: then that is good for as long as the page is open.

/** The key of the token, in what is kept for the tab. */
export const TOKEN = 'antiphon.token';

/** @param {'localStorage' | 'sessionStorage'} storage by its name: where all is forbidden, to look at it is an error
 *  @returns what an earlier page kept, null if there is nothing */
export function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

/** Keep a value; null: none. */
export function write(storage, key, value) {
  try {
    if (value === null) window[storage].removeItem(key);
    else window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // see above
  }
}

/** Keep the token of an address such as /client#token=…, which then no longer shows it.
 *  @returns {?string} the token */
export function tokenOfAddress() {
  const [, written = ''] = /^#token=(.*)$/.exec(location.hash) ?? [];
  const token = decoded(written).trim(); // as it is, in base64 too: a plus is a plus
  if (!token) return null;
  write('sessionStorage', TOKEN, token);
  history.replaceState(null, '', location.pathname);
  return token;
}

/** @returns {Object} the headers that show a token; in them stand bytes alone, and a token may hold any letter */
export function shown(token) {
  return token ? { Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(token))}` } : {};
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

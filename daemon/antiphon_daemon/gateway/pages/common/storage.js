// What the browser keeps for a page. It may keep nothing: then that is good for as long as the page is open.

/** The key of the token, in what is kept for the tab. */
export const TOKEN = 'antiphon.token';

/** @returns what an earlier page kept, null if there is nothing */
export function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}

/** Keep a value; null: none. */
export function write(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, JSON.stringify(value));
  } catch {
    // see above
  }
}

/** Keep the token of an address such as /client#token=…, which then no longer shows it.
 *  @returns {?string} the token */
export function tokenOfAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return null;
  write(sessionStorage, TOKEN, token);
  history.replaceState(null, '', location.pathname);
  return token;
}

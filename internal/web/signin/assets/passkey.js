// Passkeys: browsers give them to scripts alone. Everything else on these pages works without.
'use strict';

const bytes = text => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0)).buffer;
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

const forGet = o => ({ ...o, challenge: bytes(o.challenge), allowCredentials: (o.allowCredentials || []).map(c => ({ ...c, id: bytes(c.id) })) });
const forCreate = o => ({
  ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) },
  excludeCredentials: (o.excludeCredentials || []).map(c => ({ ...c, id: bytes(c.id) })),
});

const plain = c => {
  const r = c.response;
  const response = { clientDataJSON: text(r.clientDataJSON) };
  if (r.attestationObject) {
    response.attestationObject = text(r.attestationObject);
    response.transports = r.getTransports ? r.getTransports() : [];
  } else {
    response.authenticatorData = text(r.authenticatorData);
    response.signature = text(r.signature);
    if (r.userHandle) response.userHandle = text(r.userHandle);
  }
  return { id: c.id, rawId: text(c.rawId), type: c.type, response, clientExtensionResults: c.getClientExtensionResults(), authenticatorAttachment: c.authenticatorAttachment || undefined };
};

const send = async (url, body) => {
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.detail || 'It did not work. Try again.');
  return value;
};

const run = async part => {
  const asked = await send(part.dataset.ask, {});
  if (part.dataset.passkey === 'get') {
    const shown = await navigator.credentials.get({ publicKey: forGet(asked.publicKey) });
    return send(part.dataset.answer, plain(shown));
  }
  const made = await navigator.credentials.create({ publicKey: forCreate(asked.publicKey) });
  return send(part.dataset.answer, { name: part.querySelector('input').value, credential: plain(made) });
};

for (const part of document.querySelectorAll('[data-passkey]')) {
  // Browsers know passkeys by a host's name, not by an address.
  if (!window.PublicKeyCredential || /^[\d.]+$|:/.test(location.hostname)) continue;
  part.hidden = false;
  const wrong = part.querySelector('.wrong');
  const button = part.querySelector('button');
  button.addEventListener('click', async () => {
    wrong.hidden = true;
    button.disabled = true;
    try {
      const next = await run(part);
      if (!next.codes) {
        location.assign(next.location);
        return;
      }
      const codes = part.querySelector('.codes');
      for (const code of next.codes) {
        const line = document.createElement('li');
        line.append(Object.assign(document.createElement('code'), { textContent: code }));
        codes.querySelector('ul').append(line);
      }
      codes.querySelector('a').href = next.location;
      codes.hidden = false;
      codes.focus();
    } catch (e) {
      wrong.textContent = e.name === 'NotAllowedError' ? 'The passkey was not given. Try again.' : e.message;
      wrong.hidden = false;
      button.disabled = false;
    }
  });
}

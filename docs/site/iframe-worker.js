/* Browsers start no worker for a page that was read from disk. Its search then runs in a hidden frame. The name makes
   Material load this file and none from the network. */
"use strict";
class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    this.inside = frame.contentWindow;
    this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    this.inside.importScripts = (...urls) => urls.reduce((before, each) => before.then(() => this.load(each)), Promise.resolve());
    this.ready = this.load(url);
  }

  load(url) {
    const script = this.inside.document.createElement("script");
    script.src = new URL(url, document.baseURI);
    return new Promise((loaded, failed) => {
      script.onload = loaded;
      script.onerror = failed;
      this.inside.document.body.append(script);
    });
  }

  postMessage(data) {
    this.ready.then(() => this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data })));
  }
}
if (location.protocol === "file:") window.Worker = window.IFrameWorker = FrameWorker;

// Files on their way to the agent's machine: picked, pasted or dropped anywhere on the page.

import { ApiError, uploadFile } from "../api.js";
import { html, useCallback, useEffect, useState } from "../html.js";

/** `upload(files)` sends them one after the other; `onPath` gets each path, errors are toasts. */
export function useUploads(api, onToast, onPath) {
  const [uploading, setUploading] = useState(0);
  const upload = useCallback(
    async (files) => {
      setUploading((now) => now + files.length);
      for (const file of files) {
        try {
          onPath(await uploadFile(api, file));
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          onToast("error", `${file.name}: ${error.message}`);
        } finally {
          setUploading((now) => now - 1);
        }
      }
    },
    [api],
  );
  return { upload, uploading };
}

/** Takes files dropped anywhere, and says so while some hover over the page. */
export function DropArea({ onFiles }) {
  const [hovering, setHovering] = useState(false);
  useEffect(() => {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    const over = (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setHovering(true);
    };
    const leave = (event) => {
      if (event.relatedTarget === null) setHovering(false);
    };
    const drop = (event) => {
      setHovering(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      onFiles([...event.dataTransfer.files]);
    };
    const handlers = { dragover: over, dragleave: leave, drop };
    for (const [name, handle] of Object.entries(handlers)) addEventListener(name, handle);
    return () => {
      for (const [name, handle] of Object.entries(handlers)) removeEventListener(name, handle);
    };
  }, [onFiles]);
  return hovering && html`<div class="drop-area">Drop to attach</div>`;
}

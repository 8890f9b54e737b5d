# A JupyterHub for one test: no sign-in page is used and nothing is ever spawned; its token service is what counts.
# Its working folder holds everything that it writes. From the environment: KEYFOB_TEST_HUB_URL, where the proxy listens
# (jupyterhub-proxy.mjs); KEYFOB_TEST_HUB_TOKEN, the administrator's token; CONFIGPROXY_AUTH_TOKEN, as the proxy has it.

import os

c = get_config()  # noqa: F821

c.JupyterHub.bind_url = os.environ["KEYFOB_TEST_HUB_URL"]
# Sockets in the working folder. A path in such an address is put into lower case, and folders have names of their own.
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = "http+unix://hub.sock"
c.ConfigurableHTTPProxy.api_url = "http+unix://proxy.sock"
c.ConfigurableHTTPProxy.should_start = False

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True

c.JupyterHub.services = [{"name": "administrator", "api_token": os.environ["KEYFOB_TEST_HUB_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "administrator", "services": ["administrator"], "scopes": ["admin:users", "tokens"]}
]

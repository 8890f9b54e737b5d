"""Put over Metaflow's configuration when that is complete: the headers for the metadata service."""

import metaflow_extensions.keyfob.outerbounds as keyfob_outerbounds
import metaflow_extensions.keyfob.service_key as keyfob_service_key

keyfob_outerbounds.check()
# A name with two underscores is not taken over.
__headers = keyfob_service_key.headers()
if __headers is not None:
    SERVICE_HEADERS = __headers

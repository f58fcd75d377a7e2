/*
 * api_oci.h - the read side of the OCI distribution API 1.1 over what is published here, for skopeo, ORAS, ModelPack's tools and whatever pulls by
 * digest. A model is a repository of the same name in small letters, as OCI wants it; its refs and commits are tags. See oci.h for the documents.
 */
#ifndef REGISTRYD_API_OCI_H
#define REGISTRYD_API_OCI_H

#include "registryd/http.h"

extern const struct http_route api_oci_routes[];

#endif
